"""What is told of one event, by its reading and by what is known of the names in it.

The same whatever came first: an event that comes before the one that links its name is told again once that is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from referral_rewards.domain.facts.ids import event_id_problem, id_problem
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.vendors.port import Reading, Unreadable


class Outcome(StrEnum):
    """What became of an event."""

    READ = "read"
    IGNORED = "ignored"
    WAITING = "waiting"  # for another event, of which a person hears if it does not come
    UNREADABLE = "unreadable"  # it, or a fact made of it, can't be taken: it stands before a person


@dataclass(frozen=True, slots=True)
class Telling:
    """The facts to tell now, the names that are known from now on, and the name that is still to be linked."""

    outcome: Outcome
    why: str | None = None
    facts: tuple[Mapping[str, Any], ...] = ()
    links: Mapping[str, OrderName] | None = None
    awaits: str | None = None


def told(reading: Reading, known: OrderName | None, store: str | None, *, is_marked: bool = False) -> Telling:
    """Return what is told of an event.

    Args:
        known: the order that the name ``of`` is linked to, if it is.
        store: the store of facts that name an order by a name of the vendor's.
        is_marked: whether the name ``mark`` is linked.
    """
    if reading.once:
        whole = reading.facts if is_marked else (*reading.once, *reading.facts)
        reading = replace(reading, facts=whole, once=())
    if reading.of is not None:
        known = reading.links.get(reading.of) or known
    links = {name: found for name, order in reading.links.items() if (found := order or known) is not None}
    if reading.ignored is not None:
        return Telling(Outcome.IGNORED, reading.ignored, links=links)
    if reading.of is None:
        return Telling(Outcome.READ, facts=reading.facts, links=links)
    held = tuple(fact for fact in reading.facts if _names_its_order(fact))
    loose = tuple(fact for fact in reading.facts if not _names_its_order(fact))
    at_once = tuple(_of(fact, OrderName(reading.of, store)) for fact in loose)
    if known is not None:
        again = () if known == OrderName(reading.of, store) else tuple(_again(fact, known) for fact in loose)
        return Telling(Outcome.READ, facts=(*at_once, *again, *held), links=links)
    if loose and not held:
        return Telling(Outcome.READ, facts=at_once, links=links, awaits=reading.of)
    why = f"it waits for the event that tells of which order {reading.of!r} is"
    return Telling(Outcome.WAITING, why, at_once, links, reading.of)


def check(reading: Reading) -> None:
    """Return if its names can be kept.

    Raises:
        Unreadable: naming the one that can't.
    """
    if (why := event_id_problem(reading.event_id)) is not None:
        raise Unreadable("id", why, "an id of the event, as its vendor gives it")
    for name in filter(None, (reading.of, reading.mark, *reading.links)):
        if (why := event_id_problem(name)) is not None:
            raise Unreadable("name", why, "a name as its vendor gives it")
    for order in filter(None, reading.links.values()):
        for name in filter(None, (order.id, order.store)):
            if (why := id_problem(name)) is not None:
                raise Unreadable("order", why, "map a path that leads to the id of an order")


def _names_its_order(fact: Mapping[str, Any]) -> bool:
    return fact["data"].get("order") is not None


def _of(fact: Mapping[str, Any], order: OrderName) -> Mapping[str, Any]:
    store = {} if order.store is None else {"store": order.store}
    return {**fact, "data": {**fact["data"], "order": order.id, **store}}


def _again(fact: Mapping[str, Any], order: OrderName) -> Mapping[str, Any]:
    """Return a fact under the order that its name turned out to be of. It is another fact than the one told before."""
    return {**_of(fact, order), "id": f"{fact['id']} of {order.id}"}
