"""A payout carried out by its activity, with a real database and a provider over real HTTP: once, whatever is lost."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from activities.messages import PayoutProgress
from activities.payouts import Payouts
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.stripe import Stripe
from referral_rewards.local.sandbox.tremendous import Tremendous
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, Sending


class Killed(Payouts):
    """A worker that dies between the provider's reply and its record."""

    async def _note(self, *_: Any, **__: Any) -> PayoutProgress:
        raise SystemError("killed")


@pytest.mark.suite_has(2)
async def test_a_payout_is_paid_once_and_booked_once_whatever_breaks_on_the_way(sending: Sending) -> None:
    """The request lost, then the look-up, then the reply, then the worker between the reply and its record."""
    sending.case.provider.fail(Fault.NOT_REACHED)
    first = await sending.step()
    assert (first.state, first.again_after) == (PayoutState.UNKNOWN, timedelta(minutes=5))
    assert sending.paid() == []
    sending.case.provider.fail(Fault.REPLY_LOST, method="GET")
    sending.case.provider.fail(Fault.REPLY_LOST, method="POST")
    assert (await sending.step(timedelta(minutes=5))).state == PayoutState.UNKNOWN
    assert (await sending.step(timedelta(minutes=5))).state in {PayoutState.UNKNOWN, PayoutState.SETTLED}
    sending.case.provider.heal()
    if not await sending.settled_once():
        with pytest.raises(SystemError):
            await sending.step(timedelta(minutes=5), Killed)
        assert (await sending.step(timedelta(minutes=5))).state == PayoutState.SETTLED
    assert await sending.settled_once()
    assert (await sending.step(timedelta(days=40))).state == PayoutState.SETTLED
    assert await sending.settled_once()


async def test_a_payment_that_a_restored_register_forgot_is_found_and_not_made_again(sending: Sending) -> None:
    """The payout was planned days ago: the rail may know its key no more, and yet show what was paid under it."""
    request = PaymentRequest.of((await sending.row()).body)
    await sending.case.rail.pay(request, sending.key())
    before = len(sending.posts())
    assert (await sending.step(timedelta(days=2))).state in {PayoutState.SETTLED, PayoutState.ACCEPTED}
    assert sending.paid() == [(AMOUNT_MINOR, "USD")]
    assert not sending.case.rail.facts.looks_up or len(sending.posts()) == before


@pytest.mark.suite_has(3)
async def test_two_workers_on_one_payout_pay_once(sending: Sending) -> None:
    await asyncio.gather(sending.step(), sending.step())
    await sending.step(timedelta(minutes=5))
    assert await sending.settled_once()


async def test_a_rail_that_does_not_let_us_in_keeps_the_payout_where_it_is(sending: Sending) -> None:
    sending.case.provider.fail(Fault.SHUT, Fault.SHUT)
    shut = await sending.step()
    assert (shut.state, shut.again_after) == (PayoutState.SENDING, timedelta(minutes=10))
    assert "refused our credentials" in (await sending.row()).why
    sending.case.provider.heal()
    assert (await sending.step(timedelta(minutes=10))).state == PayoutState.SETTLED
    assert await sending.settled_once()


async def test_a_refusal_is_at_rest_and_pays_nothing(transfer: Sending) -> None:
    assert isinstance(transfer.provider, Stripe)
    transfer.provider.accounts.clear()
    refused = await transfer.step()
    assert (refused.state, refused.again_after) == (PayoutState.REFUSED, None)
    assert transfer.paid() == []
    assert (await transfer.step(timedelta(days=1))).state == PayoutState.REFUSED


async def test_what_the_rail_shows_of_another_amount_is_put_before_a_person(sending: Sending) -> None:
    sending.case.provider.fail(Fault.REPLY_LOST)
    await sending.step()
    if sending.case.rail.facts.name == "stripe_promotion":
        with pytest.raises(SystemError):
            await sending.step(timedelta(minutes=5), Killed)
    sending.case.alter(factor=2)
    shown = await sending.step(timedelta(minutes=5))
    assert (shown.state, shown.again_after) == (PayoutState.MANUAL_REVIEW, None)
    assert "50.00 USD under our key" in (shown.why or "")


@pytest.mark.parametrize(
    ("name", "pending", "done", "ends"),
    [
        ("paypal_payouts", "UNCLAIMED", "SUCCESS", PayoutState.SETTLED),
        ("paypal_payouts", "UNCLAIMED", "RETURNED", PayoutState.REFUSED),
        ("tremendous", "PENDING APPROVAL", "EXECUTED", PayoutState.SETTLED),
        ("tremendous", "PENDING APPROVAL", "CANCELED", PayoutState.REFUSED),
    ],
)
async def test_what_a_rail_accepted_is_asked_for_until_it_is_settled_or_refused(
    name: str, pending: str, done: str, ends: PayoutState, opened: Opener
) -> None:
    async with opened(name) as sending:
        provider = sending.case.provider
        assert isinstance(provider, PayPal | Tremendous)
        provider.becomes = pending
        taken = await sending.step()
        assert (taken.state, taken.again_after) == (PayoutState.ACCEPTED, timedelta(minutes=5))
        provider.fail(Fault.GATEWAY, method="GET")
        assert (await sending.step(timedelta(minutes=5))).state == PayoutState.ACCEPTED
        later = await sending.step(timedelta(days=2))
        assert (later.state, later.again_after) == (PayoutState.ACCEPTED, timedelta(hours=1))
        posts = [each for each in provider.asked if each.method == "POST" and "oauth2" not in each.steps]
        assert len(posts) == 1
        if isinstance(provider, PayPal):
            next(iter(provider.batches.values()))["items"][0]["transaction_status"] = done
        else:
            next(iter(provider.orders.values()))["status"] = done
        assert (await sending.step(timedelta(hours=1))).state == ends
        assert await sending.settled_once() is (ends is PayoutState.SETTLED)
