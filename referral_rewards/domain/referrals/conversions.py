"""Conversions: what the referee bought or opened, less what was reversed (SPEC §3, §4)."""

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain import money
from referral_rewards.domain.facts import identity as identities
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, FactType
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.disputes import Dispute, disputes, loss
from referral_rewards.domain.referrals.order_amounts import worth
from referral_rewards.domain.referrals.reversals import reversals


@dataclass(frozen=True, slots=True)
class Conversion:
    """One order. Amounts are minor units of its own ``currency``, None if its kind has no amount.

    ``record`` is the earliest of its ``records`` and gives the order's details. ``gross_minor`` is its latest amount.
    ``reversals`` are the facts of the reversals that count, ``disputes`` those about it, ``told`` all facts about what
    became of it, and ``conflicts`` sentences about what is told in different ways. ``counts`` says whether the
    remaining amount is enough, ``would_count`` whether the largest that it had was; ``of_kind`` whether the terms
    reward its kind.
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
    reversals: tuple[Fact, ...]
    of_kind: bool
    counts: bool
    would_count: bool
    disputes: tuple[Dispute, ...] = ()
    conflicts: tuple[str, ...] = ()
    told: tuple[Fact, ...] = ()

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
    def amendments(self) -> tuple[Fact, ...]:
        """The facts that amended its amount."""
        return tuple(fact for fact in self.told if fact.type is FactType.CONVERSION_AMENDED)

    @property
    def told_differently(self) -> tuple[Fact, ...]:
        """All facts about what became of it, also those that do not stand. Empty if they agree."""
        return self.told if self.conflicts else ()


class Orders:
    """The orders that are known so far. Facts are added in their order of precedence.

    An order's conversion is cached until another fact about it arrives: a customer of years may have hundreds.
    """

    def __init__(self, terms: Terms, linked: Set[str] = frozenset()) -> None:
        """``linked`` are the orders that people linked to the referral by hand, whoever bought them."""
        self._terms = terms
        self._linked = linked
        self._records: defaultdict[str, list[Fact]] = defaultdict(list)
        self._told: defaultdict[str, list[Fact]] = defaultdict(list)
        self._owners: dict[str, frozenset[str]] = {}
        self._worth: dict[str, Conversion] = {}

    def add(self, fact: Fact) -> None:
        """Add a fact about an order; any other fact is ignored."""
        if fact.type is FactType.CONVERSION_RECORDED:
            order = fact.data["order"]
            self._records[order].append(fact)
            # The earliest record names the owner: a later record can't move an order to another person.
            self._owners.setdefault(order, fact.identity)
        elif fact.type in ABOUT_AN_ORDER:
            order = fact.data["order"]
            self._told[order].append(fact)
        else:
            return
        self._worth.pop(order, None)

    def of(self, identity: Set[str]) -> list[Conversion]:
        """Return the conversions of the person with that identity, and those linked by hand, earliest first (ties:
        order id by code point)."""
        own = [
            self._conversion(order)
            for order, owner in self._owners.items()
            if identities.links(owner, identity) or order in self._linked
        ]
        return sorted(own, key=lambda each: (each.occurred_at, each.order))

    def alike(self, identity: Set[str]) -> list[Conversion]:
        """Return the conversions of whoever shares any mark with that identity, also only a mailbox, earliest first."""
        own = [self._conversion(order) for order, owner in self._owners.items() if owner & identity]
        return sorted(own, key=lambda each: (each.occurred_at, each.order))

    def _conversion(self, order: str) -> Conversion:
        if order not in self._worth:
            self._worth[order] = _conversion(self._records[order], self._told[order], self._terms)
        return self._worth[order]


def conversions(
    facts: Iterable[Fact], identity: Set[str], terms: Terms, linked: Set[str] = frozenset()
) -> list[Conversion]:
    """Return the conversions of the person with that identity, and those linked, in the order of `Orders.of`."""
    return _known(facts, terms, linked).of(identity)


def alike_conversions(facts: Iterable[Fact], identity: Set[str], terms: Terms) -> list[Conversion]:
    """Return the conversions of whoever shares any mark with that identity, also only a mailbox, earliest first."""
    return _known(facts, terms).alike(identity)


def _known(facts: Iterable[Fact], terms: Terms, linked: Set[str] = frozenset()) -> Orders:
    orders = Orders(terms, linked)
    for fact in sorted(facts, key=lambda each: each.precedence):
        orders.add(fact)
    return orders


def first_conversion(facts: Iterable[Fact], terms: Terms) -> Conversion | None:
    """Return the conversion of the order that was recorded first among the facts, whoever made it; None if none was."""
    known = sorted(facts, key=lambda each: each.precedence)
    order = next((each.order for each in known if each.type is FactType.CONVERSION_RECORDED), None)
    if order is None:
        return None
    its = [each for each in known if each.order == order]
    records = [each for each in its if each.type is FactType.CONVERSION_RECORDED]
    return _conversion(records, [each for each in its if each.type in ABOUT_AN_ORDER], terms)


def _conversion(records: list[Fact], told: list[Fact], terms: Terms) -> Conversion:
    record = records[0]
    amendments = [fact for fact in told if fact.type is FactType.CONVERSION_AMENDED]
    its_worth = worth(record, amendments)
    back = reversals(told, its_worth)
    its = disputes(told, record.data["order"], back.counted)
    net_minor, conflicts = None, (*back.conflicts, *(sentence for each in its for sentence in each.conflicts))
    if its_worth is None:
        conflicts += tuple(f"{fact.source} amends an order that has no amount" for fact in amendments)
    else:
        lost = loss(back.counted, its, its_worth.gross_minor, its_worth.currency)
        net_minor = max(its_worth.gross_minor - lost.taken_minor, 0)
        conflicts = (*its_worth.conflicts, *conflicts, *lost.conflicts)
    currency = record.data.get("currency")
    taken_whole = bool(back.counted) or any(each.takes is not None for each in its)
    return Conversion(
        order=record.data["order"],
        kind=record.data["kind"],
        occurred_at=record.occurred_at,
        gross_minor=its_worth.gross_minor if its_worth else None,
        net_minor=net_minor,
        currency=currency,
        new_customer=record.data.get("new_customer"),
        record=record,
        records=tuple(records),
        reversals=tuple(fact for each in back.counted for fact in each.facts),
        of_kind=record.data["kind"] in terms.qualifying.kinds,
        # Without an amount there is nothing to subtract from: whatever was taken is all of it.
        counts=not taken_whole if net_minor is None else _enough(net_minor, currency, terms),
        would_count=its_worth is None or _enough(its_worth.largest_minor, currency, terms),
        disputes=its,
        conflicts=conflicts,
        told=tuple(told),
    )


def _enough(amount_minor: int, currency: str | None, terms: Terms) -> bool:
    """Whether an amount is above zero and at least the minimum, which is not applied in another currency."""
    minimum = terms.qualifying.minimum
    if minimum is None or currency != terms.currency:
        return amount_minor > 0
    return amount_minor > 0 and amount_minor >= terms.minor(minimum)
