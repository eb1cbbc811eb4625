"""A source that is asked at its vendor: what the vendor holds of an order, read by the translator of its webhooks.

So a fact has the same id however we hear of it, and what is known changes nothing.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer, unavailable
from referral_rewards.domain.referrals.versions import NOTHING, UNKNOWN, OnRecord, Version, ended_early, told_by
from referral_rewards.sources.asking import Unusable
from referral_rewards.sources.news import news
from referral_rewards.sources.port import Right, Told
from referral_rewards.vendor_apis.port import NotTold
from referral_rewards.vendors import port as vendors
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import Unreadable
from referral_rewards.vendors.telling import told

#: For all that is asked about one order, with its wait among others for the vendor's pace. A judgement waits for it,
#: and begins again after thirty seconds.
PATIENCE_SECONDS: Final = 20.0
_TOO_LONG: Final = "It took too long to answer."
_NO_KEY: Final = "The key of its api is not set in this process."


@dataclass(frozen=True, slots=True)
class Found:
    """What a vendor holds of an order: its objects as events of the vendor's.

    ``lacks`` says why the order does not count, as that it is not paid; None if it does. ``ended_at`` is when its
    subscription ended.
    """

    events: tuple[vendors.Told, ...]
    lacks: str | None = None
    ended_at: datetime | None = None


class Orders(Protocol):
    """The orders that one vendor holds for one source."""

    async def look(self, order: OrderName, on_record: OnRecord) -> Found | None:
        """Return what the vendor holds of an order, None if it knows none.

        Raises:
            NotTold: if it does not answer as we need it.
            Unusable: if it can't be asked about this order.
        """
        ...

    #: What our key has to let us read, in words.
    rights: Sequence[str]

    async def check(self, right: str) -> None:
        """Return if our key lets us read that. Raises the same."""
        ...


class VendorSource:
    """One event source, asked at its vendor; ``orders`` is None in a process that has no key."""

    def __init__(
        self, source: ConnectedSource, orders: Orders | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._source, self._orders = source, orders
        self._patience_seconds = patience_seconds

    async def order(self, order: str, store: str | None = None, on_record: OnRecord = NOTHING) -> Told:
        """See `Source.order`."""
        named = OrderName(order, store)
        try:
            if self._orders is None:
                raise Unusable(_NO_KEY)
            async with asyncio.timeout(self._patience_seconds):
                found = await self._orders.look(named, on_record)
            answer, facts = read(self._source, named, found, on_record)
        except Unusable as unusable:
            return Told(unavailable(self._source.name, str(unusable)))
        except (NotTold, Unreadable) as error:
            return Told(unavailable(self._source.name, _sentence(error)))
        except TimeoutError:
            return Told(unavailable(self._source.name, _TOO_LONG))
        return Told(answer, facts, self._source.teller)

    async def customer(self, customer: str) -> Told:
        """Return that a vendor of orders is no source of customers."""
        return Told(unavailable(self._source.name, f"{self._source.vendor.name} is asked about orders alone."))

    async def reachable(self) -> str | None:
        """See `Source.reachable`. The key must let us read all that a judgement reads."""
        rights = await self.rights()
        refused = [each for each in rights if each.why is not None]
        if not refused:
            return None
        is_whole = len(refused) == len(rights) and len({each.why for each in refused}) == 1
        return refused[0].why if is_whole else f"Of its {refused[0].what}: {refused[0].why}"

    async def rights(self) -> Sequence[Right]:
        """Return what our key has to let us read, each with the reason why it does not."""
        orders = self._orders
        if orders is None:
            return (Right("key", _NO_KEY),)
        return await asyncio.gather(*(self._right(orders, each) for each in orders.rights))

    async def _right(self, orders: Orders, what: str) -> Right:
        try:
            async with asyncio.timeout(self._patience_seconds):
                await orders.check(what)
        except (NotTold, Unusable) as error:
            return Right(what, _sentence(error))
        except TimeoutError:
            return Right(what, _TOO_LONG)
        return Right(what)


def read(
    source: ConnectedSource, order: OrderName, found: Found | None, on_record: OnRecord
) -> tuple[SourceAnswer, list[Event]]:
    """Return the answer that a vendor's objects come to, and the facts that are new to us. Pure.

    Raises:
        Unreadable: if an object is not of its documented form.
        Unusable: if what it says can be no fact, or is none that the source may tell.
    """
    name = source.name
    if found is None:
        return SourceAnswer(Answer.CONTRADICTED, f"It knows no order {order}.", name, theirs=UNKNOWN), []
    digest = hashlib.sha256(b"\n".join(each.body for each in found.events)).hexdigest()
    facts, ignored = _facts(source, order, found.events)
    theirs = replace(told_by(facts), is_known=True, ended_at=found.ended_at)
    recorded = on_record.ours is not None or any(each.type is FactType.CONVERSION_RECORDED for each in facts)
    why = _objection(found, theirs, on_record, recorded=recorded) or (ignored if not facts else None)
    said = f"It knows order {order}{_in_words(theirs) if why is None else f', but {why}'}."
    kind = Answer.CONFIRMED if why is None else Answer.CONTRADICTED
    fresh = news(facts, [each for each in on_record.facts if each.source == source.mapping.source], on_record.ours)
    return SourceAnswer(kind, said, name, digest, theirs=theirs), list(fresh) if recorded else []


def _objection(found: Found, theirs: Version, on_record: OnRecord, *, recorded: bool) -> str | None:
    """Return why the order does not stand as we have it, where no fact tells that; None if nothing does."""
    if found.lacks is not None:
        return found.lacks
    if not recorded:
        return "it says nothing of it that counts"
    if on_record.ours is not None and (early := ended_early(on_record.ours, theirs, on_record.until)):
        return early[0]
    return None


def _facts(source: ConnectedSource, order: OrderName, events: Sequence[vendors.Told]) -> tuple[list[Event], str | None]:
    """Return the facts about the order that its objects become, each once, and why nothing is made of the first of
    those that become none, such as one of another mode, or of another order."""
    documents: dict[str, Mapping[str, Any]] = {}
    ignored: list[str] = []
    for each in events:
        reading = source.read(each)
        ignored += [reading.ignored] if reading.ignored is not None else []
        telling = told(reading, order, source.mapping.store)
        for fact in telling.facts:
            its = fact["data"]  # a store may be given to the source by configuration, and stand in no fact of it
            if (its.get("order"), its.get("store", order.store)) == (order.id, order.store):
                documents.setdefault(fact["id"], fact)
            else:
                ignored.append("what it holds there is of another order")
    return [_event(source, each) for each in documents.values()], next(iter(ignored), None)


def _event(source: ConnectedSource, document: Mapping[str, Any]) -> Event:
    try:
        event = parse_event(document)
    except BadInput as error:
        raise Unusable(f"What it told can't be a fact: {error}.") from None
    if not source.rights.cover(event.source, event.type):
        raise Unusable(f"It told of a {event.type}, which this source may not tell: add that to its `tells`.")
    return event


def _in_words(theirs: Version) -> str:
    worth = f", {theirs.amount} {theirs.currency or ''}".rstrip() if theirs.amount is not None else ""
    back = f"; taken back: {theirs.taken_back}" if theirs.taken_back not in (None, "0.00") else ""
    ended = f"; its subscription ended on {theirs.ended_at:%Y-%m-%d}" if theirs.ended_at is not None else ""
    return f"{worth}{back}{'; it is disputed' if theirs.disputed else ''}{ended}"


def _sentence(error: Exception) -> str:
    told = str(error).rstrip(".")
    return f"{told[:1].upper()}{told[1:]}."
