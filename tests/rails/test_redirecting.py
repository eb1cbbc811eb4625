"""Where a payee is paid: the destination that was approved, or one that finance bound since, and never another."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from activities.clawbacks import Clawbacks
from activities.messages import ClawbackRequest
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.advice import ANOTHER_METHOD
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.payees import subject
from referral_rewards.register.recording.record import record
from tests.clawbacks.taking import act, cases
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, Sending
from tests.workflows.scenes import sql

_S = PayoutState
RAIL, OLD, NEW = "stripe_transfer", "acct_dexter", "acct_new"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def payee(opened: Opener) -> AsyncIterator[Sending]:
    """A payment to dexter about to be sent to the approved account; two people of finance, and another account."""
    async with opened(RAIL) as sending:
        await sending.life.user("finn", Role.FINANCE)
        sending.provider.accounts |= {NEW}
        yield sending


async def tell(its: Sending, type_: str = "payee.method_set", rail: str = RAIL, **data: Any) -> None:
    """Tells something of dexter's methods, and has the referral judged on it."""
    its.now += timedelta(seconds=1)
    await its.life.record(type_, its.now, {"payee": "dexter", "rail": rail, **data}, received_at=its.now)
    await its.judge()


async def shown(its: Sending) -> PayeeSubject:
    async with its.life.database.transaction() as connection:
        return await subject.shown(connection, "dexter", RAIL, its.now, its.life.keys)


async def redirect(its: Sending, user: str, marks: frozenset[str] = frozenset(), **said: Any) -> Decision:
    """Records a redirect by somebody of finance, of what waits now, and has the referral judged on it."""
    digest = (await shown(its)).digest
    asked = Asked("dexter", MoneyAct.REDIRECT_PAYEE, "other", "asked her", digest, rail=RAIL, **said)
    async with its.life.database.transaction() as connection:
        approver = Approver(user, frozenset({Role.FINANCE}), marks)
        made, _ = await record(connection, asked, approver, now=its.now, keys=its.life.keys, signer=its.life.signer)
    await its.judge()
    return made


async def refused(its: Sending, user: str = "faye", **said: Any) -> str:
    """The rule by which a redirect is refused."""
    with pytest.raises(ActRefused) as refusal:
        await redirect(its, user, **said)
    return refusal.value.rule


async def told_of_it(its: Sending) -> None:
    """Every letter about a change of dexter's account is delivered."""
    statement = """
        UPDATE notice SET state = 'sent', due_at = NULL, settled_at = :at
        WHERE template = 'method_changed' AND state = 'waiting' RETURNING id
    """
    assert await sql(its.life, statement, at=its.now)


async def leg(its: Sending) -> tuple[str, str | None]:
    (row,) = await sql(its.life, "SELECT state, bound_to FROM leg WHERE role = 'referrer' AND state <> 'cancelled'")
    return row.state, row.bound_to


async def queued(its: Sending) -> list[str]:
    """As what the payout stands before a person."""
    rows = await sql(its.life, "SELECT exception FROM queue_entry WHERE subject = :id", id=str(its.payout))
    return [row.exception for row in rows]


def paid_to(its: Sending) -> list[tuple[str, str, int | None]]:
    return [(key, where, amount) for key, amount, _, where in its.case.paid()]


async def test_a_payment_waits_once_its_account_was_replaced_and_nothing_of_it_is_sent(payee: Sending) -> None:
    await tell(payee, reference=NEW)

    assert await leg(payee) == ("waiting_method", None)
    assert (await payee.step(HOUR)).state == _S.CANCELLED
    assert payee.posts() == []
    assert (await payee.life.row("r1")).status == "approved"


async def test_an_account_that_was_replaced_but_not_judged_yet_is_not_paid(payee: Sending) -> None:
    payee.now += timedelta(seconds=1)
    data = {"payee": "dexter", "rail": RAIL, "reference": NEW}
    await payee.life.record("payee.method_set", payee.now, data, received_at=payee.now)

    assert (await payee.step(HOUR)).state == _S.APPROVED
    assert payee.posts() == []


async def test_two_of_finance_redirect_it_a_day_after_the_payee_was_told(payee: Sending) -> None:
    await tell(payee, reference=NEW)
    assert await refused(payee) == "not_told"
    await told_of_it(payee)
    payee.now += DAY - timedelta(seconds=1)
    assert await refused(payee) == "too_early"
    payee.now += timedelta(seconds=1)

    await redirect(payee, "faye")
    assert await leg(payee) == ("waiting_method", None)
    assert await refused(payee, "finn", reference="acct_other") == "not_on_record"
    await redirect(payee, "finn")

    assert await leg(payee) == ("reserved", NEW)
    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert paid_to(payee) == [(payee.key(), NEW, AMOUNT_MINOR)]
    assert await payee.settled_once()


async def test_nobody_signs_twice_and_nobody_who_benefits(payee: Sending) -> None:
    await tell(payee, reference=NEW)
    await told_of_it(payee)
    payee.now += DAY
    await redirect(payee, "faye", frozenset({"email:faye"}))
    await sql(payee.life, "UPDATE app_user SET marks = '{email:faye}' WHERE name = 'faye'")

    first = await redirect(payee, "faye", frozenset({"email:faye"}))
    assert [each.decision.id for each in (await shown(payee)).history] == [first.id]
    assert await refused(payee, "finn", marks=frozenset({"email:faye"})) == "different_people"
    assert await refused(payee, "finn", marks=frozenset({"customer:dexter"})) == "own_claim"
    assert await leg(payee) == ("waiting_method", None)


async def test_an_account_that_is_set_back_was_not_replaced(payee: Sending) -> None:
    await tell(payee, reference=NEW)
    await tell(payee, reference=OLD)

    assert await leg(payee) == ("reserved", None)
    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert paid_to(payee) == [(payee.key(), OLD, AMOUNT_MINOR)]


@pytest.mark.parametrize(
    "way",
    [
        [("payee.method_removed", RAIL, None), ("payee.method_set", RAIL, NEW)],
        [("payee.method_set", "manual", NEW), ("payee.method_removed", RAIL, None), ("payee.method_set", RAIL, NEW)],
    ],
    ids=["removed and set", "by another rail"],
)
async def test_no_way_around_makes_an_account_the_first(payee: Sending, way: list[tuple[str, str, str | None]]) -> None:
    for type_, rail, reference in way:
        await tell(payee, type_, rail, **({} if reference is None else {"reference": reference}))

    assert (await shown(payee)).people == 2
    assert await refused(payee) == "not_told"


async def test_a_letter_about_the_account_counts_only_while_it_stays(payee: Sending) -> None:
    await tell(payee, reference=NEW)
    await told_of_it(payee)
    await tell(payee, reference=OLD)
    payee.now += DAY
    await tell(payee, reference=NEW)

    assert await refused(payee) == "not_told"


async def test_a_redirect_is_void_once_the_account_is_another_again(payee: Sending) -> None:
    payee.provider.accounts |= {"acct_third"}
    await tell(payee, reference=NEW)
    await told_of_it(payee)
    payee.now += DAY
    await redirect(payee, "faye")
    await redirect(payee, "finn")
    await tell(payee, reference="acct_third")

    assert await leg(payee) == ("waiting_method", None)
    assert (await payee.step(HOUR)).state == _S.CANCELLED
    assert payee.posts() == []


async def test_a_row_that_names_another_account_pays_nobody(payee: Sending) -> None:
    """Whoever writes to the database has no signature."""
    await sql(payee.life, "UPDATE leg SET bound_to = 'acct_new' WHERE role = 'referrer'")
    await sql(
        payee.life,
        """UPDATE payout SET body = body || '{"destination": "acct_new"}',
           body_hash = encode(sha256(convert_to(replace(:body, 'acct_dexter', 'acct_new'), 'UTF8')), 'hex')
           WHERE id = :id""",
        id=payee.payout,
        body=_canonical((await payee.row()).body),
    )

    assert (await payee.step(HOUR)).state == _S.MANUAL_REVIEW
    assert "nobody with the authority bound it" in (await payee.row()).why
    assert payee.posts() == []


async def test_what_was_refused_is_paid_to_another_account_under_a_new_key(payee: Sending) -> None:
    accounts = set(payee.provider.accounts)
    payee.provider.accounts.clear()
    assert (await payee.step()).state == _S.REFUSED
    payee.provider.accounts |= accounts - {OLD}
    assert await refused(payee) == "not_now"
    await tell(payee, reference=NEW)
    await told_of_it(payee)
    payee.now += DAY
    await redirect(payee, "faye")
    assert (await payee.step(HOUR)).state == _S.REFUSED
    await redirect(payee, "finn")

    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert paid_to(payee) == [(payee.key(2), NEW, AMOUNT_MINOR)]
    assert await payee.settled_once()


async def test_what_is_retried_to_an_account_that_was_replaced_waits_for_a_redirect(payee: Sending) -> None:
    accounts = set(payee.provider.accounts)
    payee.provider.accounts.clear()
    assert (await payee.step()).state == _S.REFUSED
    payee.provider.accounts |= accounts
    await payee.decide(MoneyAct.RETRY_PAYOUT)
    await tell(payee, reference=NEW)

    waits = await payee.step(HOUR)
    assert (waits.state, waits.again_after) == (_S.APPROVED, ANOTHER_METHOD)
    assert paid_to(payee) == []
    assert await queued(payee) == ["waiting_method"]
    await told_of_it(payee)
    payee.now += DAY
    await redirect(payee, "faye")
    await redirect(payee, "finn")
    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert paid_to(payee) == [(payee.key(2), NEW, AMOUNT_MINOR)]
    assert await queued(payee) == []


@pytest.mark.parametrize(("type_", "said"), [("payee.method_set", {"reference": NEW}), ("payee.method_removed", {})])
async def test_nobody_retries_it_to_an_account_that_is_not_the_payees_any_more(
    payee: Sending, type_: str, said: dict[str, str]
) -> None:
    accounts = set(payee.provider.accounts)
    payee.provider.accounts.clear()
    assert (await payee.step()).state == _S.REFUSED
    payee.provider.accounts |= accounts
    await tell(payee, type_, **said)

    with pytest.raises(ActRefused) as refusal:
        await payee.decide(MoneyAct.RETRY_PAYOUT)
    assert refusal.value.rule == "something_remains"

    await tell(payee, reference=OLD)
    await payee.decide(MoneyAct.RETRY_PAYOUT)
    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert paid_to(payee) == [(payee.key(2), OLD, AMOUNT_MINOR)]


@pytest.mark.parametrize("state", ["sending", "accepted", "unknown", "manual_review"])
async def test_nothing_is_redirected_while_another_payment_to_them_may_have_arrived(payee: Sending, state: str) -> None:
    await tell(payee, reference=NEW)
    await told_of_it(payee)
    payee.now += DAY
    statement = """
        INSERT INTO payout SELECT (jsonb_populate_record(p, jsonb_build_object(
            'id', gen_random_uuid(), 'provider_key', 'another', 'state', CAST(:state AS text)))).*
        FROM payout p WHERE id = :id
    """
    await sql(payee.life, statement, id=payee.payout, state=state)

    assert await refused(payee) == "payment_under_way"


def _canonical(body: Any) -> str:
    return json.dumps(dict(body), sort_keys=True, separators=(",", ":"))


async def _returns(payee: Sending) -> None:
    """The reward was paid and taken back whole, and finance returns it: that payment is the one to send now."""
    assert (await payee.step()).state == _S.SETTLED
    await payee.judge()
    payee.now += timedelta(seconds=1)
    await payee.life.record("conversion.reversed", payee.now, {"order": "o-r1", "kind": "refund"},
                            received_at=payee.now)  # fmt: skip
    await payee.judge()
    case = (await cases(payee.life))["referrer"][0].id
    await act(payee.life, MoneyAct.REVERSE_CLAWBACK, case, AMOUNT_MINOR, user="faye")
    (taken,) = await sql(payee.life, "SELECT id FROM clawback")
    rails = {RAIL: payee.case.rail}
    taking = Clawbacks(payee.life.database, payee.life.keys, rails, lambda: payee.now)
    asked = ClawbackRequest(clawback=str(taken.id), now=payee.now)
    assert (await taking.reverse_clawback(asked)).state == "reversed"
    await payee.judge()
    await act(payee.life, MoneyAct.RETURN_CLAWBACK, case, AMOUNT_MINOR, user="faye")
    (returned,) = await sql(payee.life, "SELECT id FROM payout WHERE returns IS NOT NULL")
    payee.payout = str(returned.id)


async def test_a_return_to_an_account_that_was_closed_goes_to_another_by_a_redirect(payee: Sending) -> None:
    """What was taken wrongly goes back to where the payee is paid now: no cancelling, and no new decision to return."""
    await _returns(payee)
    payee.provider.accounts -= {OLD}
    assert (await payee.step(HOUR)).state == _S.REFUSED
    assert (await shown(payee)).waiting == ()
    await tell(payee, reference=NEW)
    (waits,) = (await shown(payee)).waiting
    assert (waits.id, waits.referral, waits.amount_minor) == (UUID(payee.payout), "r1", AMOUNT_MINOR)
    await told_of_it(payee)
    payee.now += DAY
    await redirect(payee, "faye")
    assert (await payee.step(HOUR)).state == _S.REFUSED
    await redirect(payee, "finn")
    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert [each for each in paid_to(payee) if each[1] == NEW] == [(payee.key(2), NEW, AMOUNT_MINOR)]
    # The reward's own account is what it was.
    assert await leg(payee) == ("paid", None)


async def test_a_return_that_was_not_sent_follows_its_payee_to_another_account_by_a_redirect(payee: Sending) -> None:
    await _returns(payee)
    await tell(payee, reference=NEW)

    waits = await payee.step(HOUR)
    assert (waits.state, waits.again_after) == (_S.APPROVED, ANOTHER_METHOD)
    assert await queued(payee) == ["waiting_method"]
    await told_of_it(payee)
    payee.now += DAY
    await redirect(payee, "faye")
    assert (await payee.step(HOUR)).state == _S.APPROVED
    await redirect(payee, "finn")
    assert (await payee.step(HOUR)).state == _S.SETTLED
    assert [each for each in paid_to(payee) if each[1] == NEW] == [(payee.key(), NEW, AMOUNT_MINOR)]
    assert await queued(payee) == []
    assert await leg(payee) == ("paid", None)


async def test_a_return_goes_on_once_its_account_is_the_payees_again(payee: Sending) -> None:
    await _returns(payee)
    await tell(payee, "payee.method_removed")
    assert (await payee.step(HOUR)).state == _S.APPROVED
    assert await queued(payee) == ["waiting_method"]
    await tell(payee, reference=OLD)
    assert await queued(payee) == []
    assert (await payee.step(HOUR)).state == _S.SETTLED
