"""Which facts are of which order, where several stores may use one number (SPEC §3, Orders).

Two stores number their orders apart: an order is (store, id). Not every system says which store it tells of. What names
no store is of the order of that id while there is one; where several stores have the id, nobody can tell of which.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, FactType


class OrderName(NamedTuple):
    """The name of an order: its id, and the store that gave it, if one is known."""

    id: str
    store: str | None = None

    def __str__(self) -> str:
        return self.id if self.store is None else f"{self.id} of store {self.store}"


@dataclass(frozen=True, slots=True)
class Order:
    """One order; its facts are in order of precedence, ``told`` are those about what became of it.

    ``stores`` are those that have it, none if no record of it names one. ``doubtful`` are facts of its id of which
    nobody can tell whether they are about this order: they take nothing. ``told_twice``: one customer's records put it
    into two stores, or into one and into none. ``alone``: no other order has its id.
    """

    id: str
    stores: frozenset[str]
    records: tuple[Fact, ...]
    told: tuple[Fact, ...] = ()
    doubtful: tuple[Fact, ...] = ()
    told_twice: bool = False
    alone: bool = True

    @property
    def name(self) -> OrderName:
        """The store of its earliest record; if that names none, the first of its stores by code point."""
        return named(self.id, self.in_stores)

    @property
    def in_stores(self) -> tuple[str, ...]:
        """Its stores, first the one that names it. A reward for it bars another in these; without any in all."""
        return tuple(sorted(self.stores, key=lambda store: (store != self.records[0].store, store)))

    @property
    def owner(self) -> frozenset[str]:
        """Whose it is: the earliest record says so, a later one can't move it to another person."""
        return self.records[0].identity

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Sentences about what can't be told of its store."""
        said = [_doubt(fact, self) for fact in self.doubtful]
        if self.told_twice:
            where = [f"store {store}" for store in sorted(self.stores)]
            where += ["without a store"] if any(record.store is None for record in self.records) else []
            said.insert(0, f"Order {self.id} of one customer is recorded in {' and '.join(where)}: that is one order")
        return tuple(said)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All that is certainly about it."""
        return (*self.records, *self.told)

    def may_be(self, name: OrderName | None) -> bool:
        """Whether a reward for an order of that name may be one for this order: without a store it may be in any."""
        if name is None or name.id != self.id:
            return False
        return name.store is None or not self.stores or name.store in self.stores

    def is_named(self, name: OrderName | None) -> bool:
        """Whether it is the order of that name. A name without a store is that of the only order with the id, else of
        one that a record without a store tells of."""
        if name is None or name.id != self.id:
            return False
        if name.store is not None and self.stores:
            return name.store in self.stores
        return self.alone or any(record.store is None for record in self.records)


@dataclass(frozen=True, slots=True)
class OrdersOfOneId:
    """The orders that have one id, and the records of which nobody can tell in which of them they belong: ``stray``."""

    orders: tuple[Order, ...] = ()
    stray: tuple[Fact, ...] = ()


def orders_of_one_id(facts: Sequence[Fact]) -> OrdersOfOneId:
    """Return the orders that these facts about one id tell of; the facts are in order of precedence.

    Which facts are together depends on the facts alone. Their order says which record is an order's earliest.
    """
    records = [fact for fact in facts if fact.type is FactType.CONVERSION_RECORDED]
    told = [fact for fact in facts if fact.type in ABOUT_AN_ORDER]
    if not records:
        return OrdersOfOneId()
    if all(fact.store is None for fact in facts):
        return OrdersOfOneId((Order(_id(records), frozenset(), tuple(records), tuple(told)),))
    groups, stray = _grouped(records)
    return OrdersOfOneId(tuple(_order(group, records, told, alone=len(groups) == 1) for group in groups), tuple(stray))


def orders_in(facts: Iterable[Fact]) -> Iterator[OrdersOfOneId]:
    """Yield the orders that are among the facts, id by id."""
    of_id: dict[str, list[Fact]] = {}
    for fact in sorted(facts, key=lambda each: each.precedence):
        if fact.type in OF_ORDERS:
            of_id.setdefault(fact.data["order"], []).append(fact)
    yield from map(orders_of_one_id, of_id.values())


def order_named(facts: Iterable[Fact], name: OrderName | None) -> Order | None:
    """Return the order of that name, by the facts that are known; None if no record tells of it.

    Of a name without a store it may be in doubt by now which order it is. Then what names no store is taken as its own.
    """
    if name is None:
        return None
    its = sorted((fact for fact in facts if fact.order == name.id), key=lambda each: each.precedence)
    found = orders_of_one_id(its)
    if (known := next((each for each in found.orders if each.is_named(name)), None)) is not None:
        return known
    if name.store is not None or not found.stray:
        return None
    told = tuple(fact for fact in its if fact.type in ABOUT_AN_ORDER and fact.store is None)
    return Order(name.id, frozenset(), found.stray, told, alone=False)


def named(order: str, stores: Sequence[str]) -> OrderName:
    """Return the name of an order, by its id and its stores as `Order.in_stores` has them."""
    return OrderName(order, stores[0] if stores else None)


def name_of(fact: Fact) -> OrderName | None:
    """Return the name of the order that a fact names; None if it names none."""
    return None if fact.order is None else OrderName(fact.order, fact.store)


#: A conversion's record, and what happened to its order afterwards.
OF_ORDERS: Final = ABOUT_AN_ORDER | {FactType.CONVERSION_RECORDED}


def _grouped(records: Sequence[Fact]) -> tuple[list[list[Fact]], list[Fact]]:
    """Return the records of each order, and those of none.

    Records of one store are of one order, and so are those of one customer. What names no store joins the only order.
    """
    groups: list[list[Fact]] = []
    for record in records:
        same = [group for group in groups if any(_is_one(record, other) for other in group)]
        groups = [group for group in groups if group not in same]
        groups.append([*(fact for group in same for fact in group), record])
    in_stores = [group for group in groups if _stores(group)]
    if len(in_stores) <= 1:
        return [list(records)], []
    stray = [fact for group in groups if not _stores(group) for fact in group]
    return [_in_turn(group) for group in in_stores], _in_turn(stray)


def _is_one(one: Fact, other: Fact) -> bool:
    if one.store is not None and one.store == other.store:
        return True
    return identity.links(one.identity, other.identity)


def _order(group: Sequence[Fact], records: Sequence[Fact], told: Sequence[Fact], *, alone: bool) -> Order:
    stores = _stores(group)
    named: set[str | None] = {fact.store for fact in told if fact.store is not None}
    # Where its record names no store, what is told of one store is of it, and what is told of several is in doubt.
    sure: set[str | None] = {*stores} if stores else {*named} if len(named) == 1 else set()
    if alone:
        sure.add(None)
    doubtful = ({None} if stores else named) - sure
    doubtful |= _nearly(sure, {fact.store for fact in (*records, *told)})
    strange = [record for record in records if record.store in doubtful and record not in group]
    return Order(
        id=_id(group),
        stores=stores,
        records=tuple(group),
        told=tuple(fact for fact in told if fact.store in sure),
        doubtful=tuple(_in_turn([*strange, *(fact for fact in told if fact.store in doubtful)])),
        told_twice=any(
            one.store != other.store and identity.links(one.identity, other.identity)
            for one, other in combinations(group, 2)
        ),
        alone=alone,
    )


def _nearly(sure: Set[str | None], known: Iterable[str | None]) -> set[str | None]:
    """Return the stores that are written as one of these in other case. Nobody can tell whether they are others, and
    what is told of them must not be lost."""
    folded = {store.casefold() for store in sure if store is not None}
    return {store for store in known if store is not None and store not in sure and store.casefold() in folded}


def _in_turn(facts: Iterable[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda each: each.precedence)


def _stores(records: Iterable[Fact]) -> frozenset[str]:
    return frozenset(record.store for record in records if record.store is not None)


def _id(records: Sequence[Fact]) -> str:
    name: str = records[0].data["order"]
    return name


def _doubt(fact: Fact, its: Order) -> str:
    about = f"{fact.source} tells of order {its.id}"
    if fact.store is not None and its.stores:
        return f"{about} of store {fact.store}, which is written in other case here: it takes nothing by itself"
    if fact.store is not None:
        return f"{about} of store {fact.store}, and no record names its store: it takes nothing by itself"
    return f"{about} without its store, and several stores have it: it takes nothing by itself"
