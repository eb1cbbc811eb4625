"""A payout that was sent, made to look unsent by somebody who writes to the database: the provider is asked first, and
past the time for which it keeps keys nothing goes out again."""

from datetime import timedelta
from uuid import UUID

import pytest

from referral_rewards.domain.payouts.advice import SOON
from referral_rewards.domain.payouts.moving import NotNow
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.register.payouts import sending as payouts
from tests.installation import PROGRAM
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, KINDS, Sending
from tests.workflows.scenes import sql

_S = PayoutState
_LATER = timedelta(days=40)

_AS_IF = {
    "unsent": "state = 'approved', first_sent_at = NULL, key_used_at = NULL",
    "its key was never used": "state = 'approved', key_used_at = NULL",
    "sent just now": "state = 'sending', key_used_at = now() + interval '40 days'",
}


@pytest.mark.parametrize("row", _AS_IF.values(), ids=_AS_IF)
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.suite_has(6)
async def test_what_was_sent_is_paid_once_whatever_its_row_says_of_when(name: str, row: str, opened: Opener) -> None:
    async with opened(name) as sending:
        sending.provider.fail(Fault.REPLY_LOST)
        assert (await sending.step()).state == _S.UNKNOWN
        await sql(sending.life, f"UPDATE payout SET {row} WHERE id = :id", id=sending.payout)
        await sending.step(_LATER)
        # A code takes a second request, which never went out, and by then does not any more.
        assert sending.paid() == ([] if name == "stripe_promotion" else [(AMOUNT_MINOR, "USD")])


@pytest.mark.parametrize("name", KINDS)
async def test_what_settled_is_not_paid_again_for_books_that_say_it_came_back(name: str, opened: Opener) -> None:
    """Whoever may write to the database may add entries to the books, too."""
    async with opened(name) as sending:
        await sending.step()
        await sql(
            sending.life,
            "WITH made AS (INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)"
            " VALUES (gen_random_uuid(), 'returned:' || :id, 'came back', now(), 'acme-friends', 'r1') RETURNING id)"
            " INSERT INTO posting (transaction_id, account, amount_minor, currency)"
            " SELECT id, v.account, v.minor, 'USD' FROM made, (VALUES (:rail, 2500), ('payable:dexter', -2500))"
            " AS v(account, minor)",
            id=sending.payout, rail=f"clearing:{name}",
        )  # fmt: skip
        await sql(sending.life, f"UPDATE payout SET {_AS_IF['unsent']} WHERE id = :id", id=sending.payout)
        await sql(sending.life, "UPDATE leg SET state = 'reserved' WHERE role = 'referrer'")
        await sending.step(_LATER)
        assert sending.paid() == [(AMOUNT_MINOR, "USD")]


async def test_a_key_that_a_rail_never_saw_stays_unused_for_its_history(transfer: Sending) -> None:
    transfer.provider.fail(Fault.SHUT)
    await transfer.step()
    assert (await transfer.row()).key_used_at is None
    await transfer.step(_LATER)
    assert await transfer.settled_once()


async def test_a_leg_of_a_referral_that_nobody_has_heard_of_comes_before_a_person(transfer: Sending) -> None:
    await sql(transfer.life, "UPDATE leg SET referral_id = 'r0' WHERE role = 'referrer'")
    stopped = await transfer.step()
    assert (stopped.state, stopped.why) == (_S.MANUAL_REVIEW, "there is no such referral")
    assert transfer.posts() == []


async def test_a_payout_that_changed_since_its_locks_were_chosen_is_looked_at_anew(transfer: Sending) -> None:
    database, payout, keys = transfer.life.database, UUID(transfer.payout), transfer.life.keys
    async with database.transaction() as connection:
        outset = await payouts.begin(connection, payout, transfer.now, keys)
    assert outset is not None
    await sql(transfer.life, "UPDATE payout SET payee = 'somebody' WHERE id = :id", id=transfer.payout)
    async with database.transaction() as connection:
        rails = frozenset({"stripe_transfer"})
        step = await payouts.commit_attempt(connection, outset, transfer.now, keys, rails, {})
    assert step == NotNow(_S.APPROVED, "what it pays changes just now", SOON)
    assert (await transfer.step()).state == _S.MANUAL_REVIEW
    assert transfer.posts() == []


@pytest.mark.parametrize("row", ["program = 'nobodys'", "program = NULL", "version = 99", "version = NULL"])
async def test_terms_that_nobody_published_come_before_a_person(row: str, transfer: Sending) -> None:
    await sql(transfer.life, f"UPDATE referral SET {row} WHERE id = 'r1'")
    stopped = await transfer.step()
    assert (stopped.state, stopped.why) == (_S.MANUAL_REVIEW, "its referral's row names terms that nobody published")
    assert transfer.posts() == []


@pytest.mark.parametrize("row", ["version = 2", "program = 'acme-others'"])
async def test_nothing_is_paid_by_other_terms_than_those_in_force_when_it_began(row: str, transfer: Sending) -> None:
    """By those of another regime less tax would be withheld."""
    life = transfer.life
    later = PROGRAM.read_text().replace("effective_from: 2025", "effective_from: 2125")
    await life.publish(later)
    await life.publish(PROGRAM.read_text().replace("program: acme-friends", "program: acme-others"))
    await sql(life, f"UPDATE referral SET {row} WHERE id = 'r1'")
    assert (await transfer.step()).state == _S.APPROVED
    assert transfer.posts() == []
    judged = await transfer.judge()
    assert (judged.program, judged.version) == ("acme-friends", 1)
    await transfer.step(timedelta(minutes=1))
    assert await transfer.settled_once()
