"""A payout carried out by its activity, with a real database and a provider over real HTTP: once, whatever is lost."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.payouts import PayoutState
from referral_rewards.domain.terms import Role
from referral_rewards.rails.sandbox.paypal import PayPal
from referral_rewards.rails.sandbox.provider import Fault
from referral_rewards.rails.sandbox.stripe import Stripe
from referral_rewards.rails.sandbox.tremendous import Tremendous
from tests.installation import PROGRAM, Installation
from tests.rails.cases import OUTSIDE, Case
from tests.workflows.scenes import before_its_approver, days_ago, payouts, referrals_at_work, scene, sql

#: What the terms promise, and the provider's account of the referrer.
KINDS = {
    "stripe_transfer": ("cash", "acct_dexter"),
    "stripe_balance": ("credit", "cus_dexter"),
    "stripe_promotion": ("discount", "cus_dexter"),
    "paypal_payouts": ("cash", "DEXTERDEXTER1"),
    "tremendous": ("gift_card", None),
}
AMOUNT_MINOR = 2500


class Killed(Payouts):
    """A worker that dies between the provider's reply and its record."""

    async def _note(self, *_: Any, **__: Any) -> PayoutState:
        raise SystemError("killed")


@dataclass
class Sending:
    """One approved payout that was not sent, and the activity that sends it."""

    life: Installation
    case: Case
    payout: str
    key: str
    now: datetime

    async def step(self, after: timedelta = timedelta(), cls: type[Payouts] = Payouts) -> PayoutProgress:
        """The activity run once, so long after the step before."""
        self.now += after
        self.case.provider.clock.pass_time(after)
        asking = Inquiries(self.life.database, self.life.intake, self.life.sources)
        doing = cls(self.life.database, self.life.keys, {self.case.rail.terms.name: self.case.rail}, asking)
        return await doing.send_payout(PayoutRequest(payout=self.payout, now=self.now))

    async def row(self) -> Any:
        return (await payouts(self.life, "r1"))["referrer"]

    def paid(self) -> list[tuple[int | None, str]]:
        """What the provider holds under the payout's key, and that is all that it holds."""
        assert all(name == self.key for name, *_ in self.case.paid())
        return [(amount, currency) for _, amount, currency, _ in self.case.paid()]

    async def settled_once(self) -> bool:
        """Whether it is settled, by the one payment, and in the books once."""
        (booked,) = await sql(
            self.life,
            "SELECT coalesce(sum(amount_minor), 0) AS total FROM posting WHERE account = :account",
            account=f"clearing:{self.case.rail.terms.name}",
        )
        right = self.paid() == [(AMOUNT_MINOR, "USD")] and int(booked.total) == -AMOUNT_MINOR
        return right and (await self.row()).state == PayoutState.SETTLED


@asynccontextmanager
async def _sending(name: str, database_url: str, environment: WorkflowEnvironment) -> AsyncIterator[Sending]:
    kind, account = KINDS[name]
    source = PROGRAM.read_text().replace("kind: credit\n", f"kind: {kind}\n")
    rails = ", ".join(f"{each}: {rail}" for each, rail in {"credit": "account_credit", kind: name}.items())
    source = re.sub(r"  rails: \{.*\}", f"  rails: {{{rails}}}", source)
    async with scene(database_url, environment, source) as life, OUTSIDE[name]() as case:
        if account is not None:
            method = {"payee": "dexter", "rail": name, "reference": account}
            await life.record("payee.method_set", days_ago(200), method)
        async with referrals_at_work(life):
            await before_its_approver(life, "r1")
            await life.decide("r1", roles=(Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS))
            await life.settled("r1", among=frozenset({"approved"}))
        payout = (await payouts(life, "r1"))["referrer"]
        yield Sending(life, case, str(payout.id), payout.provider_key, datetime.now(UTC))


@pytest.fixture(params=KINDS)
async def sending(
    request: pytest.FixtureRequest, database_url: str, temporal_env: WorkflowEnvironment
) -> AsyncIterator[Sending]:
    async with _sending(request.param, database_url, temporal_env) as sending:
        yield sending


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


async def test_two_workers_on_one_payout_pay_once(sending: Sending) -> None:
    await asyncio.gather(sending.step(), sending.step())
    await sending.step(timedelta(minutes=5))
    assert await sending.settled_once()


async def test_a_rail_that_does_not_let_us_in_keeps_the_payout_where_it_is(sending: Sending) -> None:
    sending.case.provider.fail(Fault.SHUT, Fault.SHUT)
    shut = await sending.step()
    assert (shut.state, shut.again_after) == (PayoutState.SENDING, timedelta(hours=1))
    assert "does not let us in" in (await sending.row()).why
    sending.case.provider.heal()
    assert (await sending.step(timedelta(hours=1))).state == PayoutState.SETTLED
    assert await sending.settled_once()


async def test_a_refusal_is_at_rest_and_pays_nothing(sending: Sending) -> None:
    provider = sending.case.provider
    assert isinstance(provider, Stripe | PayPal | Tremendous)
    provider.poor = True
    if isinstance(provider, Stripe):
        provider.customers.clear()
    refused = await sending.step()
    assert (refused.state, refused.again_after) == (PayoutState.REFUSED, None)
    assert sending.paid() == []
    assert (await sending.step(timedelta(days=1))).state == PayoutState.REFUSED


async def test_what_the_rail_shows_of_another_amount_is_put_before_a_person(sending: Sending) -> None:
    sending.case.provider.fail(Fault.REPLY_LOST)
    await sending.step()
    if sending.case.rail.terms.name == "stripe_promotion":
        with pytest.raises(SystemError):
            await sending.step(timedelta(minutes=5), Killed)
    sending.case.alter(factor=2)
    shown = await sending.step(timedelta(minutes=5))
    assert (shown.state, shown.again_after) == (PayoutState.MANUAL_REVIEW, None)
    assert "50.00 USD under our key" in (shown.why or "")


@pytest.mark.parametrize("name", ["stripe_transfer", "paypal_payouts"])
async def test_past_the_window_a_payout_that_nobody_shows_is_put_before_a_person(
    name: str, database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with _sending(name, database_url, temporal_env) as sending:
        sending.case.provider.fail(Fault.NOT_REACHED)
        await sending.step()
        window = sending.case.rail.terms.key_window
        assert window is not None
        stopped = await sending.step(window)
        assert (stopped.state, stopped.again_after) == (PayoutState.MANUAL_REVIEW, None)
        assert sending.paid() == []


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
    name: str, pending: str, done: str, ends: PayoutState, database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with _sending(name, database_url, temporal_env) as sending:
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
