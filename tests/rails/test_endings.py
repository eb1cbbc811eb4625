"""How a payout ends, and what that does to its leg, its referral and the books."""

from datetime import UTC, datetime, timedelta

import pytest

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.register.payouts import answers
from referral_rewards.reporting.books import checking
from referral_rewards.reporting.queue import entries as queue
from referral_rewards.reporting.queue.entries import Entry
from referral_rewards.reporting.queue.filters import Filters
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, Sending
from tests.workflows.scenes import sql

_S, _A = PayoutState, MoneyAct
HOUR = timedelta(hours=1)


async def _leg(sending: Sending) -> str:
    (leg,) = await sql(sending.life, "SELECT state FROM leg WHERE role = 'referrer'")
    return str(leg.state)


async def _other_side_is_paid(sending: Sending) -> None:
    await sql(sending.life, "UPDATE leg SET state = 'paid' WHERE role = 'referee'")
    await sql(sending.life, "UPDATE payout SET state = 'settled' WHERE rail = 'account_credit'")


async def _lost(sending: Sending) -> None:
    """Sent, and shown by nobody past its window: a person must look."""
    sending.provider.fail(Fault.NOT_REACHED)
    await sending.step()
    await sending.step(timedelta(hours=20))
    assert (await sending.step(HOUR)).state == _S.MANUAL_REVIEW


async def test_a_person_who_finds_the_payment_settles_it_by_its_reference(transfer: Sending) -> None:
    await _lost(transfer)
    await transfer.decide(_A.SETTLE_PAYOUT, reference="tr_outside")
    assert (await transfer.step()).state == _S.SETTLED
    row = await transfer.row()
    assert (row.provider_reference, row.settled_at) == ("tr_outside", transfer.now)
    assert (await _leg(transfer), await transfer.booked()) == ("paid", AMOUNT_MINOR)
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert await transfer.booked() == AMOUNT_MINOR


async def test_what_a_person_refuses_is_refused_and_can_be_given_up(transfer: Sending) -> None:
    await _lost(transfer)
    await transfer.decide(_A.REFUSE_PAYOUT)
    assert (await transfer.step()).state == _S.REFUSED
    await _other_side_is_paid(transfer)
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step()).state == _S.CANCELLED
    assert (await _leg(transfer), await transfer.booked()) == ("cancelled", 0)
    assert (await transfer.life.money())["expense:acme-friends"] == 800
    assert "payable:dexter" not in await transfer.life.money()
    assert (await transfer.judge()).status == "rewarded"
    assert (await transfer.step(HOUR)).state == _S.CANCELLED


async def test_a_referral_of_which_nothing_was_paid_and_all_was_given_up_is_denied(transfer: Sending) -> None:
    transfer.provider.accounts.clear()
    await transfer.step()
    await transfer.decide(_A.CANCEL_PAYOUT)
    await transfer.step()
    assert (await transfer.judge()).status == "paying"
    await sql(transfer.life, "UPDATE leg SET state = 'cancelled' WHERE role = 'referee'")
    row = await transfer.judge()
    assert (row.status, row.reason, row.closed_at) == ("denied", "denied_by_decision", transfer.now)


async def test_legs_that_were_given_up_before_anything_was_sent_are_not_set_aside_anew(transfer: Sending) -> None:
    await sql(transfer.life, "UPDATE payout SET body_hash = 'x' WHERE id = :id", id=transfer.payout)
    assert (await transfer.step()).state == _S.MANUAL_REVIEW
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step()).state == _S.CANCELLED
    assert (await transfer.judge()).status == "approved"
    await sql(transfer.life, "UPDATE leg SET state = 'cancelled' WHERE role = 'referee'")
    assert (await transfer.judge()).status == "denied"
    assert len(await sql(transfer.life, "SELECT 1 FROM leg")) == 2


async def test_a_stopped_payout_goes_on_once_what_stopped_it_is_gone(transfer: Sending) -> None:
    """A person who has it tried again before then has it stopped again: their word is no approval of the claim."""
    await sql(transfer.life, "UPDATE payout SET amount_minor = 1 WHERE id = :id", id=transfer.payout)
    assert (await transfer.step()).state == _S.MANUAL_REVIEW
    await transfer.decide(_A.RETRY_PAYOUT)
    assert (await transfer.step()).state == _S.MANUAL_REVIEW
    await sql(transfer.life, "UPDATE payout SET amount_minor = 2500 WHERE id = :id", id=transfer.payout)
    await transfer.decide(_A.RETRY_PAYOUT)
    assert (await transfer.step()).state == _S.SETTLED
    assert await transfer.settled_once()
    assert (await transfer.row()).generation == 1


async def test_what_stops_again_after_a_retry_can_be_decided_on_anew(transfer: Sending) -> None:
    """It stands as it stood, and what was decided on it then was carried out: it keeps nobody from deciding now."""
    await sql(transfer.life, "UPDATE payout SET body_hash = 'x' WHERE id = :id", id=transfer.payout)
    assert (await transfer.step()).state == _S.MANUAL_REVIEW
    made = []
    for _ in range(2):
        made.append(await transfer.decide(_A.RETRY_PAYOUT))
        assert await transfer.decide(_A.RETRY_PAYOUT) == made[-1]
        with pytest.raises(ActRefused, match="payout retried by faye"):
            await transfer.decide(_A.CANCEL_PAYOUT)
        assert (await transfer.step()).state == _S.MANUAL_REVIEW
    assert made[0].id != made[1].id
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step()).state == _S.CANCELLED


def _bounce(sending: Sending) -> None:
    """The provider shows that what it had paid came back."""
    match sending.case.rail.facts.name:
        case "stripe_transfer":
            made = sending.provider.of("transfer")[-1]
            made["amount_reversed"] = made["amount"]
        case "paypal_payouts":
            next(iter(sending.provider.batches.values()))["items"][0]["transaction_status"] = "RETURNED"
        case "tremendous":
            next(iter(sending.provider.orders.values()))["status"] = "CANCELED"


@pytest.mark.parametrize("name", ["stripe_transfer", "paypal_payouts", "tremendous"])
async def test_what_a_provider_returned_is_owed_again_until_a_person_decides(name: str, opened: Opener) -> None:
    async with opened(name) as sending:
        assert (await sending.step()).state == _S.SETTLED
        await _other_side_is_paid(sending)
        assert (await sending.judge()).status == "rewarded"
        _bounce(sending)
        assert (await sending.step(HOUR)).state == _S.RETURNED
        assert (await _leg(sending), await sending.booked()) == ("reserved", 0)
        assert (await sending.life.money())["payable:dexter"] == -AMOUNT_MINOR
        assert (await sending.judge()).status == "rewarded"
        assert (await sending.step(HOUR)).state == _S.RETURNED
        assert len(sending.posts()) == 1
        await sending.decide(_A.RETRY_PAYOUT)
        assert (await sending.step(HOUR)).state == _S.SETTLED
        assert len(sending.posts()) == 2
        assert (await _leg(sending), await sending.booked()) == ("paid", AMOUNT_MINOR)
        assert (await sending.judge()).status == "rewarded"


async def test_a_rewarded_referral_of_which_all_came_back_and_was_given_up_is_clawed_back(transfer: Sending) -> None:
    await transfer.step()
    await sql(transfer.life, "UPDATE leg SET state = 'cancelled' WHERE role = 'referee'")
    assert (await transfer.judge()).status == "rewarded"
    _bounce(transfer)
    await transfer.step(HOUR)
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step()).state == _S.CANCELLED
    assert (await transfer.judge()).status == "clawed_back"
    assert await transfer.booked() == 0


@pytest.mark.parametrize("fault", [Fault.GATEWAY, Fault.SHUT, Fault.REPLY_LOST])
async def test_a_provider_that_does_not_answer_has_returned_nothing(transfer: Sending, fault: Fault) -> None:
    await transfer.step()
    transfer.provider.fail(fault, method="GET")
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert await transfer.settled_once()


#: What our reversals of it came to, and what stands once its provider shows that all of it came back.
_REVERSALS: dict[str, tuple[list[tuple[int, int, str]], PayoutState]] = {
    "whole, and under way": ([(AMOUNT_MINOR, 0, "reversing")], _S.SETTLED),
    "whole, in two parts": ([(600, 600, "reversed"), (1900, 1900, "reversed")], _S.SETTLED),
    "none, for it was declined": ([(AMOUNT_MINOR, 0, "unrecoverable")], _S.RETURNED),
}


async def _reversal(sending: Sending, amount_minor: int, recovered_minor: int, state: str) -> None:
    await sql(
        sending.life,
        """
        INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor, currency,
                              recovered_minor, body, body_hash, generation, provider_key, first_sent_at, state,
                              decision_id, created_at, updated_at)
        SELECT gen_random_uuid(), gen_random_uuid(), pl.leg_id, p.id, 'r1', p.payee, 'reverse', :amount,
               p.currency, :recovered, p.body, p.body_hash, 1, CAST(gen_random_uuid() AS text), now(), :state,
               gen_random_uuid(), now(), now()
        FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id WHERE p.id = :id
        """,
        id=sending.payout,
        amount=amount_minor,
        recovered=recovered_minor,
        state=state,
    )


@pytest.mark.parametrize("what", _REVERSALS)
async def test_what_we_had_reversed_ourselves_is_no_bounce(transfer: Sending, what: str) -> None:
    reversals, stands = _REVERSALS[what]
    await transfer.step()
    for each in reversals:
        await _reversal(transfer, *each)
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == stands
    assert (await transfer.row()).why == (None if stands == _S.SETTLED else "the transfer was reversed at Stripe")


@pytest.mark.parametrize(
    "reversal", [(600, 600, "reversed"), (600, 0, "unknown"), (AMOUNT_MINOR, 600, "partly_reversed")]
)
async def test_a_part_that_we_reversed_hides_no_return_of_the_rest(
    transfer: Sending, reversal: tuple[int, int, str]
) -> None:
    await transfer.step()
    await _reversal(transfer, *reversal)
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert (await transfer.row()).why is None
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    said = "all of it came back at the rail, of which we took back no more than 6.00 USD"
    assert (await transfer.row()).why == said
    assert ("answered", 1, _S.SETTLED) in await transfer.steps()
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert (await transfer.steps()).count(("answered", 1, _S.SETTLED)) == 1
    assert await transfer.booked() == AMOUNT_MINOR


def _transferred(sending: Sending) -> None:
    """The provider made the transfer after all, in whatever way."""
    asked = {"amount": "2500", "currency": "usd", "destination": "acct_dexter", "transfer_group": sending.key()}
    sending.provider.accounts = {"acct_dexter"}
    sending.provider._transfer(asked)


async def test_a_wake_of_what_a_person_must_look_at_finds_what_the_provider_shows_by_then(transfer: Sending) -> None:
    await _lost(transfer)
    _transferred(transfer)
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert await transfer.settled_once()


async def test_what_was_refused_and_is_paid_after_all_is_put_before_a_person(transfer: Sending) -> None:
    transfer.provider.accounts.clear()
    await transfer.step()
    _transferred(transfer)
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    row = await transfer.row()
    assert (row.state, row.why) == (_S.MANUAL_REVIEW, "the rail shows that it paid after all, as tr_1")


async def _given_up(sending: Sending) -> None:
    """Lost, and then cancelled by a person."""
    await _lost(sending)
    await sending.decide(_A.REFUSE_PAYOUT)
    await sending.step()
    await sending.decide(_A.CANCEL_PAYOUT)
    assert (await sending.step()).state == _S.CANCELLED


async def _waits(sending: Sending) -> list[Entry]:
    """What of payouts stands in the queue, as a person is shown it."""
    async with sending.life.database.transaction() as connection:
        found = await queue.page(connection, sending.life.keys, Filters(), None, datetime.now(UTC) + timedelta(days=9))
    return [each for each in found.entries if each.exception.startswith("payout")]


async def _books_hold(sending: Sending) -> None:
    async with sending.life.database.transaction() as connection:
        assert [each async for each in checking.problems(connection)] == []


async def _paid_after_all(sending: Sending) -> None:
    """Given up, and its provider pays it after all, of which something wakes it."""
    await _given_up(sending)
    await _books_hold(sending)
    assert await _waits(sending) == []
    _transferred(sending)
    assert (await sending.step(HOUR)).state == _S.MANUAL_REVIEW
    (entry,) = await _waits(sending)
    assert (entry.referral, entry.exception) == ("r1", "payout_manual_review")
    assert entry.about == "the rail shows that it paid after all, as tr_1"
    assert entry.to_do is not None
    assert entry.to_do.startswith("The payout was cancelled, but the provider paid it.")
    # It stands there until a person has decided, however often somebody looks, and is sent by none of that.
    assert (await sending.step(HOUR)).state == _S.MANUAL_REVIEW
    assert len(await _waits(sending)) == 1
    with pytest.raises(ActRefused, match="record that it was not paid or record that it was paid"):
        await sending.decide(_A.RETRY_PAYOUT)
    await _books_hold(sending)


async def test_what_was_given_up_and_is_paid_after_all_and_kept_is_a_loss(transfer: Sending) -> None:
    await _paid_after_all(transfer)
    await transfer.decide(_A.SETTLE_PAYOUT, reason="found_at_provider", reference="tr_1")
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert await _waits(transfer) == []
    assert (await _leg(transfer), await transfer.booked()) == ("cancelled", AMOUNT_MINOR)
    assert (await transfer.life.money())["loss:acme-friends"] == AMOUNT_MINOR
    await _books_hold(transfer)
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == _S.RETURNED
    (entry,) = await _waits(transfer)
    assert entry.to_do == (
        "The payout was cancelled; the provider paid it, and the money came back. Nothing is owed: cancel it."
    )
    assert await transfer.booked() == 0
    with pytest.raises(ActRefused, match="you can cancel the payout"):
        await transfer.decide(_A.RETRY_PAYOUT)
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step(HOUR)).state == _S.CANCELLED
    assert await _waits(transfer) == []
    await _books_hold(transfer)


async def test_what_came_back_and_was_given_up_and_is_paid_once_more_is_a_loss(transfer: Sending) -> None:
    """The books hold the first payment of that key already, and that it came back."""
    await transfer.step()
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == _S.RETURNED
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step(HOUR)).state == _S.CANCELLED
    _transferred(transfer)
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    made = transfer.provider.of("transfer")[0]
    await transfer.decide(_A.SETTLE_PAYOUT, reason="found_at_provider", reference=made["id"])
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert await transfer.booked() == AMOUNT_MINOR
    assert (await transfer.life.money())["loss:acme-friends"] == AMOUNT_MINOR
    await _books_hold(transfer)


async def test_what_came_back_and_was_paid_under_an_earlier_key_is_booked_once_more(transfer: Sending) -> None:
    await _lost(transfer)
    await transfer.decide(_A.REFUSE_PAYOUT)
    await transfer.step()
    await transfer.life.user("gil", Role.FINANCE)
    await transfer.decide(_A.RETRY_PAYOUT, user="gil")
    assert (await transfer.step()).state == _S.SETTLED
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == _S.RETURNED
    late = {"reference": "tr_late", "why": None, "generation": 1}
    async with transfer.life.database.transaction() as connection:
        found = await answers.note(connection, transfer.payout, _S.SETTLED, transfer.now, **late)
    assert found is _S.MANUAL_REVIEW
    await transfer.decide(_A.SETTLE_PAYOUT, user="gil", reason="found_at_provider", reference="tr_late")
    assert (await transfer.step()).state == _S.SETTLED
    assert (await _leg(transfer), await transfer.booked()) == ("paid", AMOUNT_MINOR)
    await _books_hold(transfer)
    # Nobody who writes the database has it paid for a third time.
    await sql(transfer.life, "UPDATE payout SET state = 'approved', key_used_at = NULL, first_sent_at = NULL")
    assert (await transfer.step()).why == "the books show that it was settled already"


async def test_what_was_given_up_and_paid_after_all_and_taken_back_is_cancelled_again(transfer: Sending) -> None:
    await _paid_after_all(transfer)
    await transfer.decide(_A.REFUSE_PAYOUT, reason="provider_confirmed")
    assert (await transfer.step(HOUR)).state == _S.CANCELLED
    # Who has seen that payment isn't shown it again: it may have been taken back by what is listed as something else.
    assert (await transfer.step(HOUR)).state == _S.CANCELLED
    assert await _waits(transfer) == []
    assert await transfer.booked() == 0
    await _books_hold(transfer)
    # But they are shown another one.
    _transferred(transfer)
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    assert (await transfer.row()).why.endswith("under our key, not what was asked")


async def test_what_its_provider_took_back_itself_is_cancelled_without_a_person(transfer: Sending) -> None:
    await _paid_after_all(transfer)
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == _S.CANCELLED
    assert await _waits(transfer) == []
    await _books_hold(transfer)


async def test_what_was_given_up_under_a_later_key_and_paid_under_the_first_is_put_before_a_person(
    transfer: Sending,
) -> None:
    await _lost(transfer)
    await transfer.decide(_A.REFUSE_PAYOUT)
    await transfer.step()
    await transfer.life.user("gil", Role.FINANCE)
    await transfer.decide(_A.RETRY_PAYOUT, user="gil")
    transfer.provider.accounts.clear()
    assert (await transfer.step()).state == _S.REFUSED
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step()).state == _S.CANCELLED
    _transferred(transfer)
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    assert (await transfer.row()).why == "the rail shows that it paid after all, as tr_1"


@pytest.mark.parametrize(("reason", "stands"), [("paid_outside", _S.SETTLED), ("found_at_provider", _S.RETURNED)])
async def test_what_was_paid_outside_is_not_owed_again_for_what_became_of_its_key(
    transfer: Sending, reason: str, stands: PayoutState
) -> None:
    transfer.provider.fail(Fault.REPLY_LOST)
    await transfer.step()
    transfer.provider.fail(*[Fault.GATEWAY] * 9, method="GET")
    await sql(transfer.life, "UPDATE payout SET state = 'manual_review' WHERE id = :id", id=transfer.payout)
    await transfer.decide(_A.SETTLE_PAYOUT, reason=reason, reference="cheque-1")
    assert (await transfer.step()).state == _S.SETTLED
    transfer.provider.heal()
    _bounce(transfer)
    assert (await transfer.step(HOUR)).state == stands
