"""A payouts worker dies while it asks a provider: before, during and after the call. The provider pays once."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.sandbox import stripe
from referral_rewards.loopback import Message, Receive, Send, served
from referral_rewards.register import outbox
from referral_rewards.register.outbox import WakeupKind
from tests.chaos.cluster import Cluster, cluster, until
from tests.installation import PROGRAM
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import days_ago

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
TERMS = {"referrer": "dexter", "program": "cash-friends"}


class Gated(stripe.Stripe):
    """Stripe that stops at a request for money: before it is carried out, or before it is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.stops: str | None = None
        self.reached = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        stops = self.stops if scope["method"] == "POST" else None

        async def nothing(_: Message) -> None:
            await self._stop()

        if stops == "before":
            await self._stop()
        await super().__call__(scope, receive, nothing if stops == "after" else send)

    async def _stop(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


@pytest.fixture
async def at_stripe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Cluster, Gated]]:
    """A cluster whose workers pay cash through a Stripe of the test's own, and r1 approved and not sent."""
    provider = Gated()
    async with served(provider) as url, cluster(tmp_path_factory.mktemp("kills")) as running:
        running.further = {"REFERRALS_RAIL_STRIPE_KEY": stripe.KEY, "REFERRALS_RAIL_STRIPE_URL": url}
        running.referral = "r1"
        await _approved(running)
        yield running, provider


async def _approved(running: Cluster) -> None:
    life = running.life
    source = PROGRAM.read_text().replace("acme-friends", "cash-friends").replace("kind: credit\n", "kind: cash\n")
    rails = "  rails: {cash: stripe_transfer, credit: account_credit}"
    await life.publish(re.sub(r"  rails: \{.*\}", rails, source))
    who = {"customer": "c-dexter", "email": "dexter@example.com"}
    await life.record("referrer.enrolled", days_ago(300), {**TERMS, **who})
    for payee in ("dexter", "c-r1"):
        method = {"payee": payee, "rail": "stripe_transfer", "reference": "acct_dexter"}
        await life.record("payee.method_set", days_ago(200), method)
    referee = {"customer": "c-r1", "email": "r1@example.com"}
    sent = {"referral": "r1", **TERMS, "channel": "email", "referee": referee}
    await life.record("referral.sent", days_ago(60), sent)
    await life.record("referral.claimed", days_ago(50), {"referral": "r1", "referee": referee, "consent": True})
    bought: dict[str, Any] = {"order": "o1", "kind": "purchase", "amount": "80.00", "currency": "USD"}
    await life.record("conversion.recorded", days_ago(40), {**bought, "customer": referee, "new_customer": True})
    worker = await running.work("referrals")
    await life.settled("r1", among=frozenset({"awaiting_approval"}))
    await life.decide("r1", roles=(Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS))
    await life.settled("r1", among=frozenset({"approved"}))
    await running.crash(worker)


async def _settled_once(running: Cluster, provider: Gated, seconds: float) -> None:
    """Each payout is settled by the one transfer under its key, and the books say the same."""

    async def settled() -> bool:
        return not await running.ask("SELECT 1 FROM payout WHERE state <> 'settled'")

    try:
        await until(settled, seconds)
    except TimeoutError:
        stands = (
            "SELECT p.state, p.why, s.act, s.at FROM payout p JOIN payout_step s ON s.payout_id = p.id ORDER BY s.id"
        )
        raise AssertionError(await running.ask(stands)) from None
    ours = await running.ask("SELECT provider_key, amount_minor FROM payout WHERE rail = 'stripe_transfer' ORDER BY 1")
    held = sorted((each["transfer_group"], each["amount"]) for each in provider.of(stripe.TRANSFER))
    assert held == ours
    booked = "SELECT CAST(-sum(amount_minor) AS bigint) FROM posting WHERE account = 'clearing:stripe_transfer'"
    assert await running.ask(booked) == [(sum(amount for _, amount in held),)]


async def _killed_at(running: Cluster, provider: Gated, stops: str) -> None:
    """One more payouts worker, that dies as soon as its request has come so far."""
    provider.stops, provider.reached = stops, asyncio.Event()
    starting = asyncio.create_task(running.work("payouts"))
    await asyncio.wait_for(provider.reached.wait(), PATIENCE_SECONDS)
    await running.crash(running.workers[-1])
    with suppress(Exception):
        await starting
    provider.stops = None


async def _woken(running: Cluster) -> None:
    """A new worker, and news of each payout: nobody waits for the next look at what is unknown."""
    await running.work("payouts")
    async with running.life.database.transaction() as connection:
        for (payout,) in await running.ask("SELECT id FROM payout"):
            await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(payout), payout)


@pytest.mark.parametrize("stops", [["before"], ["after"], ["before", "after"]], ids="-".join)
async def test_workers_killed_during_the_call_pay_once(at_stripe: tuple[Cluster, Gated], stops: list[str]) -> None:
    running, provider = at_stripe
    await running.work("referrals")
    for each in stops:
        await _killed_at(running, provider, each)
    await _woken(running)
    # The server takes half a minute to see that nobody carries the activity out any more.
    await _settled_once(running, provider, 150)
