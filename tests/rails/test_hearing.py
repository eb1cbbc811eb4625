"""Providers that tell before they answer, twice, newest first, or what somebody invents: the payment stays one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.metrics import Metrics
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.local.sandbox import certificates, webhooks
from referral_rewards.local.sandbox.provider import Fault, WallClock
from referral_rewards.local.sandbox.webhooks import Webhooks
from referral_rewards.loopback import Message, Receive, Send, reply, served
from referral_rewards.rails import asking
from referral_rewards.rails.webhooks.connected import connected
from tests.apps import at_an_address
from tests.rails.conftest import Opener
from tests.rails.sending import Sending
from tests.workflows.scenes import sql

_S = PayoutState
_SECRET = "whsec_of_a_test"
#: Which provider tells of a payout by each rail, and whether by its own id of it, known before any reply.
TELLS = {
    "stripe_transfer": ("stripe", True),
    "stripe_promotion": ("stripe", True),
    "paypal_payouts": ("paypal", True),
    "tremendous": ("tremendous", False),
}


@asynccontextmanager
async def _listening(sending: Sending, source: str, folder: Path, **how: bool) -> AsyncIterator[Webhooks]:
    """The API over the payout's database, and the provider telling it."""
    made = certificates.certificates(folder)

    async def show(scope: Message, receive: Receive, send: Send) -> None:
        await reply(send, 200, made.shown)

    async with served(show) as shown, asking.client() as client:
        secrets = {"stripe": (_SECRET,), "tremendous": (_SECRET,), "paypal": ("WH-1",)}
        hears = connected(secrets, client, certificates=f"{shown}/", roots=folder / "paypal-root.pem")
        life = sending.life
        parts = Parts(life.database, life.intake, life.keys, life.signer, Metrics(), webhooks=hears)
        signing = {
            "stripe": webhooks.as_stripe(_SECRET),
            "tremendous": webhooks.as_tremendous(_SECRET),
            "paypal": webhooks.as_paypal("WH-1", made.key, f"{shown}/CERT-1"),
        }
        async with at_an_address(parts) as url:
            telling = Webhooks(f"{url}/v1/webhooks/{source}", signing[source], WallClock(), pauses_seconds=(), **how)
            sending.provider.webhooks = telling
            yield telling


async def _wakes(sending: Sending) -> int:
    woken = "SELECT count(*) AS wakes FROM outbox WHERE kind = 'payout_due' AND target = :payout"
    return int((await sql(sending.life, woken, payout=sending.payout))[0].wakes)


async def _events(sending: Sending) -> list[Any]:
    return await sql(sending.life, "SELECT * FROM provider_event ORDER BY event_id")


@pytest.mark.parametrize("name", TELLS)
async def test_an_event_before_the_reply_and_again_settles_nothing_twice(
    name: str, opened: Opener, tmp_path: Path
) -> None:
    source, knows_us = TELLS[name]
    async with opened(name) as sending, _listening(sending, source, tmp_path, before_reply=True, twice=True) as telling:
        before = await _wakes(sending)
        assert (await sending.step()).state == _S.SETTLED
        assert telling.answers == [200, 200]
        (event,) = await _events(sending)
        assert (str(event.payout_id) == sending.payout) is knows_us
        # An order that we know nothing of may be any payment in doubt.
        assert await _wakes(sending) == before + 1
        for _ in range(2):
            assert (await sending.step()).state == _S.SETTLED
        assert await sending.settled_once()


@pytest.mark.parametrize("name", ["stripe_transfer", "paypal_payouts", "tremendous"])
async def test_an_event_wakes_a_payout_whose_reply_was_lost_and_the_provider_says_what_became_of_it(
    name: str, opened: Opener, tmp_path: Path
) -> None:
    async with opened(name) as sending, _listening(sending, TELLS[name][0], tmp_path, before_reply=True):
        before = await _wakes(sending)
        sending.provider.fail(Fault.REPLY_LOST)
        assert (await sending.step()).state == _S.UNKNOWN
        assert await _wakes(sending) == before + 1
        assert (await sending.step()).state == _S.SETTLED
        assert await sending.settled_once()


async def test_the_newest_news_first_leaves_what_the_provider_says_now(opened: Opener, tmp_path: Path) -> None:
    async with opened("paypal_payouts") as sending:
        how = {"before_reply": True, "reordered": True}
        async with _listening(sending, "paypal", tmp_path, **how) as telling:
            sending.provider.becomes = "UNCLAIMED"
            assert (await sending.step()).state == _S.ACCEPTED
            (batch,) = sending.provider.batches
            sending.provider.move(batch, "SUCCESS")
            await sending.provider.told()
            assert telling.answers == [200, 200]
            assert [each.kind.rpartition(".")[2] for each in await _events(sending)] == ["UNCLAIMED", "SUCCEEDED"]
            assert (await sending.step()).state == _S.SETTLED
            assert await sending.settled_once()


async def test_news_that_somebody_signed_and_invented_moves_nothing(opened: Opener, tmp_path: Path) -> None:
    """Who learns a webhook's secret can wake a payout, and that is all."""
    async with opened("stripe_transfer") as sending, _listening(sending, "stripe", tmp_path) as telling:
        sending.provider.fail(Fault.NOT_REACHED)
        assert (await sending.step()).state == _S.UNKNOWN
        sending.provider.accounts.clear()
        thing = {"id": "tr_invented", "metadata": {"payout": sending.payout}, "amount": 2500, "reversed": False}
        event = {"id": "evt_x", "type": "transfer.created", "created": datetime.now(UTC).timestamp()}
        await telling.tell([{**event, "data": {"object": thing}}])
        await telling.done()
        assert telling.answers == [200]
        assert (await sending.row()).state == _S.UNKNOWN
        assert (await sending.step()).state == _S.REFUSED
        assert sending.paid() == []
