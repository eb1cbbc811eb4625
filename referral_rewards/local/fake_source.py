"""A scripted source for tests and demonstrations: what it knows, how it fails, and how it is served over HTTP.

It is part of the product, so that developers of a real source can see how its answers are used. On loopback it has the
form that docs/guides/sources.md requires of a real one.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import PERSON_PART
from referral_rewards.domain.referrals import inquiries
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer, unavailable
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord
from referral_rewards.loopback import App, Message, Send, reply
from referral_rewards.sources.port import Told

_N = TypeVar("_N")

_DOWN = "It is scripted to be down."


class FakeSource:
    """Answers from memory. While ``down`` it does not answer; otherwise it answers after ``slow`` seconds. ``asked``
    lists all questions in order, answered or not."""

    def __init__(self, name: str, facts: Iterable[Event] = ()) -> None:
        self._name = name
        self._facts: dict[tuple[str, str], Event] = {}
        self.down = False
        self.slow = 0.0
        self.asked: list[tuple[str, str]] = []
        self.tell(*facts)

    def tell(self, *facts: Event) -> None:
        """Add facts to what it reports. A fact with the source and id of an earlier one replaces it, so that the source
        contradicts itself."""
        self._facts |= {(fact.source, fact.event_id): fact for fact in facts}

    def forget(self) -> None:
        """Forget all facts."""
        self._facts.clear()

    def of_order(self, order: OrderName) -> list[Event]:
        """Return the facts about an order; without a store those of all stores."""
        its = [fact for fact in self._facts.values() if fact.public.get("order") == order.id]
        return [fact for fact in its if order.store is None or fact.public.get("store", order.store) == order.store]

    def of_customer(self, customer: str) -> list[Event]:
        """Return the facts about a customer, except orders."""
        return [fact for fact in self._facts.values() if "order" not in fact.public and _customer(fact) == customer]

    async def order(self, order: str, store: str | None = None, on_record: OnRecord = NOTHING) -> Told:
        return await self._answer("orders", OrderName(order, store), self.of_order, inquiries.about_order)

    async def customer(self, customer: str) -> Told:
        return await self._answer("customers", customer, self.of_customer, inquiries.about_customer)

    async def reachable(self) -> str | None:
        return _DOWN if self.down else None

    async def _answer(
        self,
        kind: str,
        name: _N,
        known: Callable[[_N], list[Event]],
        reading: Callable[[str, _N, Iterable[Event]], SourceAnswer],
    ) -> Told:
        self.asked.append((kind, str(name)))
        if self.down:
            return Told(unavailable(self._name, _DOWN))
        await asyncio.sleep(self.slow)
        facts = known(name)
        said = reading(self._name, name, facts)
        digest = hashlib.sha256(body_of(facts)).hexdigest() if facts else None
        answer = replace(said, content_hash=digest)
        return Told(answer, () if answer.answer is Answer.UNAVAILABLE else facts)


def body_of(facts: Iterable[Event]) -> bytes:
    """Return the response body with these facts, as a source sends it."""
    return json.dumps({"facts": [document(fact) for fact in facts]}).encode()


def document(event: Event) -> dict[str, Any]:
    """Return a fact as the CloudEvent that its source would post."""
    return {
        "specversion": "1.0",
        "id": event.event_id,
        "source": event.source,
        "type": event.type.value,
        "time": event.occurred_at.isoformat(),
        "data": dict(event.data),
    }


def _customer(fact: Event) -> str | None:
    """Return the public customer id of the person that a fact is about."""
    person: Mapping[str, Any] | None = fact.public.get(PERSON_PART.get(fact.type) or "")
    return person.get("customer") if person else None


def as_app(source: FakeSource, token: str | None = None) -> App:
    """Return the source as an ASGI application. It answers 401 without the ``token``, if one is set, and 503 while
    down."""

    async def app(scope: Message, receive: object, send: Send) -> None:
        # Use the raw path: in a decoded one, a slash within an id looks like a separator.
        kind, name = _steps(scope["raw_path"])
        order = OrderName(name, next(iter(parse_qs(scope["query_string"].decode()).get("store", [])), None))
        if kind in ("orders", "customers"):
            source.asked.append((kind, str(order)))
        if token is not None and (b"authorization", f"Bearer {token}".encode()) not in scope["headers"]:
            return await reply(send, 401)
        if source.down:
            return await reply(send, 503)
        await asyncio.sleep(source.slow)
        facts = source.of_order(order) if kind == "orders" else source.of_customer(name) if kind == "customers" else []
        return await reply(send, 200, body_of(facts)) if facts or not kind else await reply(send, 404)

    return app


def _steps(raw_path: bytes) -> tuple[str, str]:
    """Return the last two segments of a path, decoded; empty at the root."""
    before, _, last = raw_path.decode("ascii").rpartition("/")
    return unquote(before.rpartition("/")[2]), unquote(last)
