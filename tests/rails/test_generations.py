"""A key has a next generation only after a recorded refusal, and only once a person or the funds release it."""

from datetime import timedelta
from typing import Any

import pytest

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.register.decisions.signing import Signer
from referral_rewards.register.referrals import cases
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, Sending
from tests.workflows.scenes import sql

_S, _A = PayoutState, MoneyAct
HOUR = timedelta(hours=1)
UNRELEASED = (
    "nobody released generation 2 of its key. Cancel it; if the reward is still owed, reopen the referral and approve "
    "it anew"
)


async def _refused(sending: Sending) -> None:
    """Refused for good, by a provider that knows no such payee; from now on it knows them."""
    accounts, customers = set(sending.provider.accounts), set(sending.provider.customers)
    sending.provider.accounts.clear()
    sending.provider.customers.clear()
    assert (await sending.step()).state == _S.REFUSED
    sending.provider.accounts |= accounts
    sending.provider.customers |= customers


@pytest.mark.parametrize("name", ["stripe_transfer", "stripe_balance"])
async def test_what_was_refused_is_sent_under_a_new_key_once_a_person_says_so(name: str, opened: Opener) -> None:
    async with opened(name) as sending:
        await _refused(sending)
        assert (await sending.step(HOUR)).state == _S.REFUSED
        made = await sending.decide(_A.RETRY_PAYOUT)
        assert (await sending.step(HOUR)).state == _S.SETTLED
        assert await sending.settled_once()
        assert [name for name, *_ in sending.case.paid()] == [sending.key(2)]
        assert await sending.steps() == [
            ("planned", 1, "approved"),
            ("moved", 1, "sending"),
            ("sent", 1, "sending"),
            ("moved", 1, "refused"),
            ("retry_payout", 1, "refused"),
            ("moved", 2, "approved"),
            ("moved", 2, "sending"),
            ("sent", 2, "sending"),
            ("moved", 2, "settled"),
        ]
        (effect,) = await sql(sending.life, "SELECT * FROM decision_effect WHERE decision_id = :id", id=made.id)
        assert effect.effect == "applied"


async def test_one_word_releases_one_key(transfer: Sending) -> None:
    await _refused(transfer)
    await transfer.decide(_A.RETRY_PAYOUT)
    await _refused(transfer)
    for _ in range(2):
        assert (await transfer.step(HOUR)).state == _S.REFUSED
    assert len(transfer.posts()) == 2
    await transfer.decide(_A.RETRY_PAYOUT)
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert [name for name, *_ in transfer.case.paid()] == [transfer.key(3)]


async def _approved_anew(sending: Sending, amount_minor: int) -> None:
    """The referrer's reward is set to another amount, and approved anew by others."""
    row = await sending.life.row("r1")
    async with sending.life.database.transaction() as connection:
        claim, _ = await cases.current(connection, row.claim_id)
    named = {"leg": "referrer", "amount_minor": amount_minor, "calculated": claim.calculated_digest}
    await sending.life.decide("r1", DecisionKind.ADJUST, user="oscar", roles=[Role.OPERATIONS], **named)
    assert (await sending.judge()).status == "awaiting_approval"
    for user, role in (("olga", Role.PROGRAM_OWNER), ("faye", Role.FINANCE)):
        await sending.life.decide("r1", user=user, roles=[role])
    assert (await sending.judge()).status in ("approved", "paying")


async def test_after_refusals_another_amount_that_was_approved_since_is_sent_under_the_next_key(
    transfer: Sending,
) -> None:
    await transfer.life.user("oscar", Role.OPERATIONS)
    await _refused(transfer)
    await transfer.decide(_A.RETRY_PAYOUT)
    await _refused(transfer)
    await _approved_anew(transfer, 2000)
    row = await transfer.row()
    assert (row.state, row.generation, row.amount_minor) == (_S.REFUSED, 2, 2000)
    await transfer.decide(_A.RETRY_PAYOUT)
    assert (await transfer.step(HOUR)).why is None
    assert transfer.paid() == [(2000, "USD")]
    assert [name for name, *_ in transfer.case.paid()] == [transfer.key(3)]


@pytest.mark.parametrize("name", ["stripe_transfer", "tremendous"])
async def test_what_waits_for_funds_goes_on_by_itself_once_they_are_there(name: str, opened: Opener) -> None:
    async with opened(name) as sending:
        sending.provider.poor = True
        waits = await sending.step()
        assert (waits.state, waits.again_after) == (_S.WAITING_FUNDS, HOUR)
        assert (await sending.step(HOUR)).state == _S.WAITING_FUNDS
        assert len(sending.posts()) == 1
        sending.provider.poor = False
        released = await sending.step(HOUR)
        assert (released.state, released.again_after) == (_S.APPROVED, timedelta(0))
        assert (await sending.step()).state == _S.SETTLED
        assert await sending.settled_once()
        assert [name for name, *_ in sending.case.paid()] == [sending.key(2)]


async def test_where_a_rail_does_not_say_what_it_holds_a_person_does(opened: Opener) -> None:
    async with opened("paypal_payouts") as sending:
        sending.provider.poor = True
        waits = await sending.step()
        assert (waits.state, waits.again_after) == (_S.WAITING_FUNDS, None)
        sending.provider.poor = False
        assert (await sending.step(HOUR)).state == _S.WAITING_FUNDS
        await sending.decide(_A.RETRY_PAYOUT)
        assert (await sending.step()).state == _S.SETTLED
        assert await sending.settled_once()


async def test_an_order_that_was_taken_and_then_denied_for_want_of_funds_waits_for_them(opened: Opener) -> None:
    async with opened("paypal_payouts") as sending:
        sending.provider.becomes = "PENDING"
        assert (await sending.step()).state == _S.ACCEPTED
        (batch,) = sending.provider.batches.values()
        batch["batch_header"]["batch_status"], (item,) = "DENIED", batch["items"]
        item["transaction_status"] = "FAILED"
        item["errors"] = {"name": "INSUFFICIENT_FUNDS", "message": "said", "debug_id": "d1"}
        waits = await sending.step(HOUR)
        assert (waits.state, waits.why) == (_S.WAITING_FUNDS, "PayPal did not pay it (INSUFFICIENT_FUNDS)")
        sending.provider.becomes = "SUCCESS"
        assert (await sending.step(HOUR)).state == _S.WAITING_FUNDS
        await sending.decide(_A.RETRY_PAYOUT)
        assert (await sending.step()).state == _S.SETTLED
        assert [name for name, *_ in sending.case.paid()] == [sending.key(2)]
        assert await sending.settled_once()


async def test_a_payment_under_an_earlier_key_is_adopted_and_nothing_is_sent_under_the_next(transfer: Sending) -> None:
    """The provider had taken the first request after all."""
    await _refused(transfer)
    accepted = {"amount": "2500", "currency": "usd", "destination": "acct_dexter", "transfer_group": transfer.key()}
    none = {"object": "list", "data": [], "has_more": False, "url": "/v1/transfers"}
    unreversed = {"amount_reversed": 0, "reversed": False, "reversals": none}
    transfer.provider._kept_as("transfer", "tr", {**accepted, "amount": 2500, **unreversed})
    await transfer.decide(_A.RETRY_PAYOUT)
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert len(transfer.posts()) == 1
    assert transfer.paid() == [(AMOUNT_MINOR, "USD")]


@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.GATEWAY, Fault.TOO_MANY])
async def test_nothing_is_sent_under_a_new_key_while_the_earlier_one_can_not_be_asked_about(
    transfer: Sending, fault: Fault
) -> None:
    await _refused(transfer)
    await transfer.decide(_A.RETRY_PAYOUT)
    transfer.provider.fail(fault, fault, method="GET")
    for _ in range(2):
        assert (await transfer.step(HOUR)).state == _S.UNKNOWN
    assert len(transfer.posts()) == 1
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert await transfer.settled_once()


async def _written(sending: Sending, state: PayoutState, *acts: str) -> None:
    """Somebody who can write to the database gives the payout its next key, with a history that speaks for it."""
    await sql(sending.life, "UPDATE payout SET state = :state WHERE id = :id", state=state, id=sending.payout)
    step = "INSERT INTO payout_step (payout_id, generation, at, act, state) VALUES (:id, 1, now(), :act, :state)"
    for act in acts:
        await sql(sending.life, step, id=sending.payout, act=act, state=state)
    row = "generation = 2, provider_key = :key, state = 'approved', key_used_at = NULL"
    await sql(sending.life, f"UPDATE payout SET {row} WHERE id = :id", key=sending.key(2), id=sending.payout)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param([], id="the row alone"),
        pytest.param(["retry_payout"], id="a step of somebody's retrying it"),
        pytest.param(["topped_up"], id="a step of the funds being there"),
    ],
)
@pytest.mark.parametrize("name", ["stripe_transfer", "paypal_payouts"])
async def test_a_generation_that_nobody_released_is_not_sent(name: str, written: list[str], opened: Opener) -> None:
    async with opened(name) as sending:
        sending.provider.fail(Fault.NOT_REACHED, Fault.NOT_REACHED)
        await sending.step()
        await _written(sending, _S.REFUSED, *written)
        stopped = await sending.step(HOUR)
        assert (stopped.state, stopped.why) == (_S.MANUAL_REVIEW, UNRELEASED)
        assert sending.paid() == []


@pytest.mark.forges
async def test_funds_that_somebody_only_wrote_of_release_nothing_where_the_rail_can_not_be_asked(
    opened: Opener,
) -> None:
    async with opened("paypal_payouts") as sending:
        assert (await sending.step()).state == _S.SETTLED
        await _written(sending, _S.WAITING_FUNDS, "topped_up")
        assert (await sending.step(HOUR)).state == _S.MANUAL_REVIEW
        assert sending.paid() == [(AMOUNT_MINOR, "USD")]


async def test_funds_release_no_order_that_was_accepted(opened: Opener) -> None:
    async with opened("stripe_transfer") as sending:
        sending.provider.poor = True
        assert (await sending.step()).state == _S.WAITING_FUNDS
        taken = "(payout_id, generation, at, act, state) VALUES (:id, 1, now(), 'polled', 'accepted')"
        await sql(sending.life, f"INSERT INTO payout_step {taken}", id=sending.payout)
        sending.provider.poor = False
        assert (await sending.step(HOUR)).state == _S.WAITING_FUNDS
        await _written(sending, _S.WAITING_FUNDS, "topped_up")
        stopped = await sending.step(HOUR)
        assert (stopped.state, stopped.why) == (_S.MANUAL_REVIEW, UNRELEASED)
        assert sending.paid() == []


async def test_a_retry_that_nobody_with_the_key_signed_counts_for_nothing(transfer: Sending) -> None:
    await _refused(transfer)
    await transfer.decide(_A.RETRY_PAYOUT, signer=Signer.generate())
    assert (await transfer.step(HOUR)).state == _S.REFUSED
    assert len(transfer.posts()) == 1


async def test_a_retry_by_somebody_barred_since_or_of_what_changed_is_void(transfer: Sending) -> None:
    await _refused(transfer)
    await transfer.decide(_A.RETRY_PAYOUT)
    await sql(transfer.life, "UPDATE app_user SET barred_at = now() WHERE name = 'faye'")
    assert (await transfer.step(HOUR)).state == _S.REFUSED
    assert [each.effect for each in await sql(transfer.life, "SELECT effect FROM decision_effect")][-1] == "void"


async def test_what_was_sent_and_not_found_can_not_be_retried(transfer: Sending) -> None:
    transfer.provider.fail(Fault.NOT_REACHED)
    await transfer.step()
    await transfer.step(timedelta(hours=20))
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    with pytest.raises(ActRefused, match="record that it was not paid or record that it was paid"):
        await transfer.decide(_A.RETRY_PAYOUT)
    await transfer.decide(_A.REFUSE_PAYOUT)
    assert (await transfer.step()).state == _S.REFUSED
    with pytest.raises(ActRefused, match="another person must"):
        await transfer.decide(_A.RETRY_PAYOUT)
    await transfer.decide(_A.RETRY_PAYOUT, "olga")
    assert (await transfer.step()).state == _S.SETTLED
    assert await transfer.settled_once()


async def test_a_claim_that_changed_is_not_sent_under_a_new_key(transfer: Sending) -> None:
    await _refused(transfer)
    await transfer.decide(_A.RETRY_PAYOUT)
    refund: dict[str, Any] = {"order": "o-r1", "kind": "refund"}
    await transfer.life.record("conversion.reversed", transfer.now - timedelta(minutes=1), refund)
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    assert len(transfer.posts()) == 1
    await transfer.decide(_A.CANCEL_PAYOUT)
    assert (await transfer.step()).state == _S.CANCELLED
