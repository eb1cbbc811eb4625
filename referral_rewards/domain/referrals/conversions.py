"""Conversions: what the referee bought or opened, less what was reversed (SPEC §3, §4)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from datetime import datetime

from referral_rewards.domain import money
from referral_rewards.domain.facts import identity as identities
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import (
    OF_ORDERS,
    Order,
    OrderName,
    OrdersOfOneId,
    orders_in,
    orders_of_one_id,
)
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.disputes import Dispute, disputes, loss
from referral_rewards.domain.referrals.order_amounts import worth
from referral_rewards.domain.referrals.reversals import reversals


@dataclass(frozen=True, slots=True)
class Conversion:
    """One order. Amounts are minor units of its own ``currency``, None if its kind has no amount.

    ``record`` is the earliest of its ``records`` and gives the order's details. ``gross_minor`` is its latest amount,
    ``amendments`` the facts that changed it: one that repeats the amount that stood is none. ``reversals`` are the
    facts of the reversals that count, ``disputes`` those about it, ``told`` all facts about what became of it, and
    ``conflicts`` sentences about what is told in different ways. ``counts`` says whether the remaining amount is
    enough, ``would_count`` whether the largest that it had was; ``of_kind`` whether the terms reward its kind.
    ``which`` says in which stores the order is. ``perhaps_twice`` are those facts of ``reversals`` that another source
    may have told once more (`reversals.py`).
    """

    order: str
    kind: str
    occurred_at: datetime
    gross_minor: int | None
    net_minor: int | None
    currency: str | None
    new_customer: bool | None
    record: Fact
    records: tuple[Fact, ...]
    amendments: tuple[Fact, ...]
    reversals: tuple[Fact, ...]
    of_kind: bool
    counts: bool
    would_count: bool
    disputes: tuple[Dispute, ...]
    conflicts: tuple[str, ...]
    told: tuple[Fact, ...]
    which: Order
    perhaps_twice: tuple[Fact, ...] = ()

    @property
    def name(self) -> OrderName:
        """The name of its order."""
        return self.which.name

    @property
    def is_a_purchase(self) -> bool:
        """Whether whoever has it is a customer: the terms reward its kind, or its first record has an amount above
        zero. A newsletter for nothing makes nobody a customer."""
        first_amount = self.record.data.get("amount")
        return self.of_kind or (first_amount is not None and money.parse_decimal(first_amount) > 0)

    @property
    def is_taken_whole(self) -> bool:
        """Whether nothing of it is left, by whatever took it: reversals, lost disputes, a lower amount."""
        return not self.counts if self.net_minor is None else self.net_minor == 0

    @property
    def taken_by(self) -> tuple[Fact, ...]:
        """The facts that tell what was taken of it: its reversals, and the closings of disputes that took an amount."""
        closings = [each.closing for each in self.disputes if each.takes is not None and each.closing is not None]
        return (*self.reversals, *closings)

    @property
    def told_differently(self) -> tuple[Fact, ...]:
        """All facts about what became of it, also those that do not stand. Empty if they agree."""
        return (*self.told, *self.which.doubtful) if self.conflicts else ()


@dataclass(frozen=True, slots=True)
class Contested:
    """A person's record of an order that is another person's, or of which nobody can tell which order it is of.

    ``told`` says so in words; ``order`` is the order if this record alone told of it.
    """

    record: Fact
    told: str
    order: Order


class Orders:
    """The orders that are known so far. Facts are added in their order of precedence.

    What is known of an id is cached until another fact about it arrives: a customer of years may have hundreds.
    """

    def __init__(self, terms: Terms, linked: Set[OrderName] = frozenset()) -> None:
        """``linked`` are the orders that people linked to the referral by hand, whoever bought them."""
        self._terms = terms
        self._linked = linked
        self._facts: defaultdict[str, list[Fact]] = defaultdict(list)
        self._read: dict[str, OrdersOfOneId] = {}
        self._worth: defaultdict[str, dict[OrderName, Conversion]] = defaultdict(dict)

    def add(self, fact: Fact) -> None:
        """Add a fact about an order; any other fact is ignored."""
        if fact.type not in OF_ORDERS:
            return
        order = fact.data["order"]
        self._facts[order].append(fact)
        self._read.pop(order, None)
        self._worth.pop(order, None)

    def of(self, identity: Set[str]) -> list[Conversion]:
        """Return the conversions of the person with that identity, and those linked by hand, earliest first (ties:
        order id by code point)."""
        own = [self._conversion(order) for order in self._all() if self._is_own(order, identity)]
        return sorted(own, key=_earliest_first)

    def alike(self, identity: Set[str]) -> list[Conversion]:
        """Return the conversions of whoever shares any mark with that identity, also only a mailbox, earliest first."""
        own = [self._conversion(order) for order in self._all() if order.owner & identity]
        return sorted(own, key=_earliest_first)

    def contested(self, identity: Set[str]) -> list[Contested]:
        """Return the records of the person with that identity which are none of their conversions, earliest first."""
        found = [each for name in self._facts for each in self._contested(self._known(name), identity)]
        return sorted(found, key=lambda each: each.record.precedence)

    def _contested(self, known: OrdersOfOneId, identity: Set[str]) -> Iterator[Contested]:
        for order in known.orders:
            if not self._is_own(order, identity):
                told = f"order {order.name}, of which an earlier record names another customer"
                for record in _of(order.records, identity):
                    yield Contested(record, told, replace(order, records=(record,)))
        for record in _of(known.stray, identity):
            told = f"order {record.order} without its store, and several stores have it"
            yield Contested(record, told, Order(record.data["order"], frozenset(), (record,), alone=False))

    def _is_own(self, order: Order, identity: Set[str]) -> bool:
        return identities.links(order.owner, identity) or any(map(order.is_named, self._linked))

    def _all(self) -> Iterator[Order]:
        for name in self._facts:
            yield from self._known(name).orders

    def _known(self, order: str) -> OrdersOfOneId:
        if order not in self._read:
            self._read[order] = orders_of_one_id(self._facts[order])
        return self._read[order]

    def _conversion(self, order: Order) -> Conversion:
        known = self._worth[order.id]
        if order.name not in known:
            known[order.name] = conversion_of(order, self._terms)
        return known[order.name]


def _earliest_first(its: Conversion) -> tuple[datetime, str, str]:
    return (its.occurred_at, its.order, its.name.store or "")


def _of(records: Iterable[Fact], identity: Set[str]) -> Iterator[Fact]:
    return (record for record in records if identities.links(record.identity, identity))


def conversions(
    facts: Iterable[Fact], identity: Set[str], terms: Terms, linked: Set[OrderName] = frozenset()
) -> list[Conversion]:
    """Return the conversions of the person with that identity, and those linked, in the order of `Orders.of`."""
    return _known(facts, terms, linked).of(identity)


def alike_conversions(facts: Iterable[Fact], identity: Set[str], terms: Terms) -> list[Conversion]:
    """Return the conversions of whoever shares any mark with that identity, also only a mailbox, earliest first."""
    return _known(facts, terms).alike(identity)


def _known(facts: Iterable[Fact], terms: Terms, linked: Set[OrderName] = frozenset()) -> Orders:
    orders = Orders(terms, linked)
    for fact in sorted(facts, key=lambda each: each.precedence):
        orders.add(fact)
    return orders


def contested_records(
    facts: Iterable[Fact], identity: Set[str], terms: Terms, linked: Set[OrderName] = frozenset()
) -> list[Contested]:
    """Return the records of the person with that identity which are none of their conversions, earliest first."""
    return _known(facts, terms, linked).contested(identity)


def in_doubt(
    facts: Iterable[Fact], identity: Set[str], terms: Terms, linked: Set[OrderName] = frozenset()
) -> list[Conversion]:
    """Return the conversions that the contested records of a person would be, earliest first.

    Each has the name of the contested order: whoever is rewarded for it, nobody else is.
    """
    return [conversion_of(each.order, terms) for each in contested_records(facts, identity, terms, linked)]


def as_if_its_own(facts: Iterable[Fact], contested: Iterable[Contested]) -> list[Fact]:
    """Return the facts as they would be if each contested record told of an order of its own."""
    records = {each.record.id for each in contested}
    return [_apart(fact) if fact.id in records else fact for fact in facts]


def _apart(record: Fact) -> Fact:
    return replace(record, data={**record.data, "order": f"{record.data['order']} by {record.id}"})


def first_conversion(facts: Iterable[Fact], terms: Terms) -> Conversion | None:
    """Return the conversion of the order that was recorded first among the facts, whoever made it; None if none was."""
    known = [order for found in orders_in(facts) for order in found.orders]
    first = min(known, key=lambda order: order.records[0].precedence, default=None)
    return None if first is None else conversion_of(first, terms)


def conversion_of(order: Order, terms: Terms) -> Conversion:
    """Return what an order is worth, by all that is known of it."""
    record, told = order.records[0], order.told
    amendments = [fact for fact in told if fact.type is FactType.CONVERSION_AMENDED]
    its_worth = worth(record, amendments)
    back = reversals(told, its_worth)
    its = disputes(told, back.counted)
    disputed = (sentence for each in its for sentence in each.conflicts)
    net_minor, conflicts = None, (*order.conflicts, *back.conflicts, *disputed)
    if its_worth is None:
        conflicts += tuple(f"{fact.source} amends an order that has no amount" for fact in amendments)
    else:
        lost = loss(back.counted, its, its_worth.gross_minor, its_worth.currency)
        net_minor = max(its_worth.gross_minor - lost.taken_minor, 0)
        conflicts = (*its_worth.conflicts, *conflicts, *lost.conflicts)
    currency = record.data.get("currency")
    taken_whole = bool(back.counted) or any(each.takes is not None for each in its)
    return Conversion(
        order=order.id,
        kind=record.data["kind"],
        occurred_at=record.occurred_at,
        gross_minor=its_worth.gross_minor if its_worth else None,
        net_minor=net_minor,
        currency=currency,
        new_customer=record.data.get("new_customer"),
        record=record,
        records=order.records,
        amendments=its_worth.amended_by if its_worth else tuple(amendments),
        reversals=tuple(fact for each in back.counted for fact in each.facts),
        of_kind=record.data["kind"] in terms.qualifying.kinds,
        # Without an amount there is nothing to subtract from: whatever was taken is all of it.
        counts=not taken_whole if net_minor is None else _enough(net_minor, currency, terms),
        would_count=its_worth is None or _enough(its_worth.largest_minor, currency, terms),
        disputes=its,
        conflicts=conflicts,
        told=told,
        which=order,
        perhaps_twice=back.perhaps_twice,
    )


def _enough(amount_minor: int, currency: str | None, terms: Terms) -> bool:
    """Whether an amount is above zero and at least the minimum, which is not applied in another currency."""
    minimum = terms.qualifying.minimum
    if minimum is None or currency != terms.currency:
        return amount_minor > 0
    return amount_minor > 0 and amount_minor >= terms.minor(minimum)
