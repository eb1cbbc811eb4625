"""What sources tell in these tests, and servers that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.loopback import App, reply, served
from referral_rewards.sources.http import HttpSource
from referral_rewards.sources.port import Endpoint

#: How long to wait for what never comes, and for what comes however busy the machine is.
SHORT, LONG = 0.5, 30.0
#: So soon, that a test does not wait between two tries.
SOON = (0.001, 0.001)
BRIE = {"customer": "c-brie", "email": "brie@example.com", "name": "Brie Cheese"}


def fact(id_: str, type_: str, **data: Any) -> Event:
    time = "2026-07-10T12:00:00Z"
    document = {"specversion": "1.0", "id": id_, "source": "shop", "type": type_, "time": time, "data": data}
    return parse_event(document)


def purchase(order: str = "o1", amount: str = "80.00") -> Event:
    worth = {"amount": amount, "currency": "USD", "new_customer": True}
    return fact(f"{order}-1", "conversion.recorded", order=order, kind="purchase", customer=BRIE, **worth)


def refund(order: str = "o1", **amount: str) -> Event:
    return fact(f"{order}-2", "conversion.reversed", order=order, kind="refund", **amount)


def dispute(order: str = "o1") -> Event:
    return fact(f"{order}-3", "conversion.dispute_opened", order=order)


def issue(customer: str = "c-brie") -> Event:
    return fact(f"{customer}-i", "customer.issue_opened", customer={**BRIE, "customer": customer}, issue="i1")


def stories(facts: Iterable[Event]) -> set[tuple[Any, ...]]:
    """What facts say, in no order."""
    return {(each.fact_id, each.type, each.occurred_at, each.content) for each in facts}


class Misbehaving:
    """A server that answers one request after the other with what it is given, the last one for ever after."""

    def __init__(self, *answers: tuple[int, bytes] | tuple[int, bytes, dict[str, str]]) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["raw_path"].decode(), headers))
        status, body, *further = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await reply(send, status, body, **(further[0] if further else {}))


async def silent(scope: Any, receive: object, send: object) -> None:
    """A server that takes every request and answers none."""
    await asyncio.Event().wait()


async def dripping(scope: Any, receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """A server that is never silent and never done."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(SHORT / 10)


@asynccontextmanager
async def asked(app: App, *, token: str | None = None, patience: float = LONG) -> AsyncIterator[HttpSource]:
    """A source at a server of this test's own."""
    async with served(app) as url, httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        yield HttpSource("shop", Endpoint(url, token), client, patience_seconds=patience, pauses=SOON)
