"""A source that a test or a demonstration scripts: what it knows, and how it fails.

It ships, so that whoever connects a real one can see on the other side of the same port what is made of its answers;
`served.py` puts it behind real HTTP.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.payloads import PERSON_PART
from referral_rewards.domain.referrals import inquiries
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer, unavailable
from referral_rewards.sources.port import Told

_DOWN = "It is scripted to be down."


class FakeSource:
    """Answers from memory. While it is ``down`` it gives no answer, otherwise one after ``slow`` seconds; ``asked`` is
    what it was asked, in order, whether it answered or not."""

    def __init__(self, name: str, facts: Iterable[Event] = ()) -> None:
        self._name = name
        self._facts: dict[tuple[str, str], Event] = {}
        self.down = False
        self.slow = 0.0
        self.asked: list[tuple[str, str]] = []
        self.tell(*facts)

    def tell(self, *facts: Event) -> None:
        """From now on it tells these as well. One under the source and id of another takes its place: that is how a
        source tells another story than before."""
        self._facts |= {(fact.source, fact.event_id): fact for fact in facts}

    def forget(self) -> None:
        """It knows nothing any more."""
        self._facts.clear()

    def of_order(self, order: str) -> list[Event]:
        """What it knows of an order."""
        return [fact for fact in self._facts.values() if fact.public.get("order") == order]

    def of_customer(self, customer: str) -> list[Event]:
        """What it knows of a customer beside the orders."""
        return [fact for fact in self._facts.values() if "order" not in fact.public and _customer(fact) == customer]

    async def order(self, order: str) -> Told:
        return await self._answer("orders", order, self.of_order, inquiries.about_order)

    async def customer(self, customer: str) -> Told:
        return await self._answer("customers", customer, self.of_customer, inquiries.about_customer)

    async def reachable(self) -> str | None:
        return _DOWN if self.down else None

    async def _answer(
        self,
        kind: str,
        name: str,
        known: Callable[[str], list[Event]],
        reading: Callable[[str, str, Iterable[Event]], SourceAnswer],
    ) -> Told:
        self.asked.append((kind, name))
        if self.down:
            return Told(unavailable(self._name, _DOWN))
        await asyncio.sleep(self.slow)
        facts = known(name)
        said = reading(self._name, name, facts)
        digest = hashlib.sha256(body_of(facts)).hexdigest() if facts else None
        answer = SourceAnswer(said.answer, said.sentence, said.source, digest)
        return Told(answer, () if answer.answer is Answer.UNAVAILABLE else facts)


def body_of(facts: Iterable[Event]) -> bytes:
    """The answer that these facts are, as a source sends it."""
    return json.dumps({"facts": [document(fact) for fact in facts]}).encode()


def document(event: Event) -> dict[str, Any]:
    """A fact as the CloudEvent that its source would post."""
    return {
        "specversion": "1.0",
        "id": event.event_id,
        "source": event.source,
        "type": event.type.value,
        "time": event.occurred_at.isoformat(),
        "data": dict(event.data),
    }


def _customer(fact: Event) -> str | None:
    """Whom a fact is about, by the customer id that everybody may read."""
    person: Mapping[str, Any] | None = fact.public.get(PERSON_PART.get(fact.type) or "")
    return person.get("customer") if person else None
