"""The sandboxes as one process: paid through as the providers are, set by hand, and told of as they tell."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from referral_rewards.domain.payouts.states import Declined, Paid, PaymentRequest, Unfunded, Unknown
from referral_rewards.local.embedded import free_port
from referral_rewards.local.sandbox import paypal, stripe, tremendous
from referral_rewards.local.sandbox.app import Sandbox
from referral_rewards.local.sandbox.webhooks import Webhooks
from referral_rewards.loopback import Message, Receive, Send, reply, served
from referral_rewards.rails.access import Access, PayPalAccess, StripeAccess, TremendousAccess
from referral_rewards.rails.connected import outside
from referral_rewards.rails.port import Rail
from tests.patience import PATIENCE_SECONDS

DESTINATIONS = {
    "stripe_transfer": "acct_anybody",
    "stripe_balance": "cus_anybody",
    "stripe_promotion": None,
    "paypal_payouts": "ANYBODYANYBODY1",
    "tremendous": None,
}


@asynccontextmanager
async def _rails(url: str) -> AsyncIterator[dict[str, Rail]]:
    access = Access(
        StripeAccess(stripe.KEY, f"{url}/stripe"),
        PayPalAccess(paypal.CLIENT_ID, paypal.SECRET, f"{url}/paypal"),
        TremendousAccess(tremendous.KEY, tremendous.FUNDING_SOURCE, tremendous.CAMPAIGN, f"{url}/tremendous"),
    )
    async with outside(access) as rails:
        yield dict(rails)


def _request(destination: str | None, number: int = 1) -> PaymentRequest:
    return PaymentRequest(UUID(int=number), "c-brie", 2500, "USD", destination, "acme-friends", "r1")


async def test_every_rail_pays_through_its_prefix_and_a_new_process_remembers_it(tmp_path: Path) -> None:
    paid = {}
    async with served(Sandbox("http://sandbox", folder=tmp_path)) as url, _rails(url) as rails:
        assert set(rails) == set(DESTINATIONS)
        for name, rail in rails.items():
            paid[name] = await rail.pay(_request(DESTINATIONS[name]), f"key-{name}")
            assert isinstance(paid[name], Paid), name
    async with served(Sandbox("http://sandbox", folder=tmp_path)) as url, _rails(url) as rails:
        for name, rail in rails.items():
            assert await rail.pay(_request(DESTINATIONS[name]), f"key-{name}") == paid[name]


async def test_an_account_that_is_closed_is_not_paid() -> None:
    async with served(Sandbox("http://sandbox")) as url, _rails(url) as rails:
        assert isinstance(await rails["stripe_transfer"].pay(_request("acct_closed"), "k1"), Declined)
        assert isinstance(await rails["stripe_balance"].pay(_request("cus_brie_closed"), "k2"), Declined)


async def test_what_a_sandbox_does_is_set_by_hand() -> None:
    async with served(Sandbox("http://sandbox")) as url, _rails(url) as rails, httpx.AsyncClient() as client:

        async def control(provider: str, wanted: dict[str, Any]) -> int:
            return (await client.post(f"{url}/control/{provider}", json=wanted)).status_code

        assert await control("stripe", {"poor": True}) == 204
        assert isinstance(await rails["stripe_transfer"].pay(_request("acct_brie"), "k"), Unfunded)
        assert await control("paypal", {"becomes": "UNCLAIMED", "fail": ["REPLY_LOST"]}) == 204
        assert isinstance(await rails["paypal_payouts"].pay(_request("BRIEBRIEBRIE1"), "k"), Unknown)
        batches = (await client.get(f"{url}/control/paypal")).json()["batches"]
        assert [batch["items"][0]["transaction_status"] for batch in batches.values()] == ["UNCLAIMED"]
        assert await control("paypal", {"move": [next(iter(batches)), "SUCCESS"]}) == 204
        assert isinstance(await rails["paypal_payouts"].pay(_request("BRIEBRIEBRIE1"), "k"), Paid)
        for wrong in ({"fail": ["NO_SUCH_FAULT"]}, {"colour": "red"}, {"move": ["nobody", "SUCCESS"]}):
            assert await control("paypal", wrong) == 400


class _Hearing:
    """An address that hears of events; it is broken for the first ``broken`` of them."""

    def __init__(self, broken: int = 0) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._broken = broken

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        document = json.loads((await receive())["body"])
        self.heard.append((scope["path"], document))
        self._broken -= 1
        await reply(send, 500 if self._broken >= 0 else 204)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, ["transfer.created", "transfer.created"]),
        ({"twice": True}, ["transfer.created"] * 4),
        ({"reordered": True}, ["transfer.created", "transfer.created"]),
        ({"before_reply": True}, ["transfer.created", "transfer.created"]),
    ],
    ids=str,
)
async def test_events_are_told_as_they_may_be(how: dict[str, bool], said: list[str]) -> None:
    hearing = _Hearing()
    async with served(hearing) as there, _served_telling(there, how) as (sandbox, rails):
        told = sandbox.providers["stripe"].webhooks
        assert isinstance(told, Webhooks)
        for number in (1, 2):
            await rails["stripe_transfer"].pay(_request("acct_brie", number), f"k{number}")
            if how.get("before_reply"):
                assert len(hearing.heard) == number
        await told.done()
        assert [document["type"] for _, document in hearing.heard] == said
        assert {path for path, _ in hearing.heard} == {"/v1/webhooks/stripe"}
        groups = [document["data"]["object"]["transfer_group"] for _, document in hearing.heard]
        assert set(groups) == {"k1", "k2"}
        if how.get("reordered"):
            assert groups == ["k2", "k1"]


async def test_an_event_that_was_not_taken_is_told_of_again() -> None:
    hearing = _Hearing(broken=1)
    async with served(hearing) as there, _served_telling(there, {}) as (sandbox, rails):
        told = sandbox.providers["tremendous"].webhooks
        assert isinstance(told, Webhooks)
        await rails["tremendous"].pay(_request(None), "k")
        await told.done()
        assert told.answers == [500, 204]


@asynccontextmanager
async def _served_telling(there: str, how: dict[str, bool]) -> AsyncIterator[tuple[Sandbox, dict[str, Rail]]]:
    sandbox = Sandbox("http://sandbox", tells=f"{there}/v1/webhooks", **how)
    async with served(sandbox) as url, _rails(url) as rails:
        yield sandbox, rails


async def test_the_process_serves_on_loopback_until_it_is_told_to_stop() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "referral_rewards.local.sandbox", "--port", str(port)
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient() as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        assert answer.json() == {"providers": ["stripe", "paypal", "tremendous"]}
    finally:
        process.terminate()
        assert await process.wait() in (0, -15)
