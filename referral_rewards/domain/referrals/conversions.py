"""Conversions: what the referee bought or opened, less what was reversed (SPEC §3, §4)."""

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.disputes import Dispute, disputes, loss


@dataclass(frozen=True, slots=True)
class Conversion:
    """One order. Amounts are minor units of its own ``currency``, None if its kind has no amount.

    ``record`` is the earliest of its ``records`` and gives the order's details. ``disputes`` are those about it, and
    ``conflicts`` sentences about what is told of them in different ways. ``counts`` says whether the remaining
    amount is enough, ``would_count`` whether the full amount was; ``of_kind`` whether the terms reward its kind.
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

    @property
    def is_a_purchase(self) -> bool:
        """Whether whoever has it is a customer: the terms reward its kind, or its first record has an amount above
        zero. A newsletter for nothing makes nobody a customer."""
        first_amount = self.record.data.get("amount")
        return self.of_kind or (first_amount is not None and money.parse_decimal(first_amount) > 0)

    @property
    def taken_by(self) -> tuple[Fact, ...]:
        """The facts that tell what was taken of it: its reversals, and the closings of disputes that took an amount."""
        closings = [each.closing for each in self.disputes if each.takes is not None and each.closing is not None]
        return (*self.reversals, *closings)

    @property
    def told_of_loss(self) -> tuple[Fact, ...]:
        """All facts about what was taken of it, also those that do not stand. Empty if they agree."""
        return (*self.reversals, *(fact for each in self.disputes for fact in each.facts)) if self.conflicts else ()


class Orders:
    """The orders that are known so far. Facts are added in their order of precedence.

    An order's conversion is cached until another fact about it arrives: a customer of years may have hundreds.
    """

    def __init__(self, terms: Terms, linked: Set[str] = frozenset()) -> None:
        """``linked`` are the orders that people linked to the referral by hand, whoever bought them."""
        self._terms = terms
        self._linked = linked
        self._records: defaultdict[str, list[Fact]] = defaultdict(list)
        self._reversals: defaultdict[str, list[Fact]] = defaultdict(list)
        self._disputed: defaultdict[str, list[Fact]] = defaultdict(list)
        self._owners: dict[str, frozenset[str]] = {}
        self._worth: dict[str, Conversion] = {}

    def add(self, fact: Fact) -> None:
        """Add a fact about an order; any other fact is ignored."""
        if fact.type is FactType.CONVERSION_RECORDED:
            order = fact.data["order"]
            self._records[order].append(fact)
            # The earliest record names the owner: a later record can't move an order to another person.
            self._owners.setdefault(order, fact.identity)
        elif fact.type is FactType.CONVERSION_REVERSED:
            order = fact.data["order"]
            self._reversals[order].append(fact)
        elif fact.type in (FactType.DISPUTE_OPENED, FactType.DISPUTE_CLOSED):
            order = fact.data["order"]
            self._disputed[order].append(fact)
        else:
            return
        self._worth.pop(order, None)

    def of(self, identity: Set[str]) -> list[Conversion]:
        """Return the conversions of the person with that identity, and those linked by hand, earliest first (ties:
        order id by code point)."""
        own = [
            self._conversion(order)
            for order, owner in self._owners.items()
            if owner & identity or order in self._linked
        ]
        return sorted(own, key=lambda each: (each.occurred_at, each.order))

    def _conversion(self, order: str) -> Conversion:
        if order not in self._worth:
            self._worth[order] = _conversion(
                self._records[order], self._reversals[order], self._disputed[order], self._terms
            )
        return self._worth[order]


def conversions(
    facts: Iterable[Fact], identity: Set[str], terms: Terms, linked: Set[str] = frozenset()
) -> list[Conversion]:
    """Return the conversions of the person with that identity, and those linked, in the order of `Orders.of`."""
    orders = Orders(terms, linked)
    for fact in sorted(facts, key=lambda each: each.precedence):
        orders.add(fact)
    return orders.of(identity)


def _conversion(records: list[Fact], reversals: list[Fact], disputed: list[Fact], terms: Terms) -> Conversion:
    record = records[0]
    its = disputes([*reversals, *disputed], record.data["order"]) if disputed else ()
    amount, currency = record.data.get("amount"), record.data.get("currency")
    gross_minor = net_minor = None
    conflicts: tuple[str, ...] = ()
    if amount is not None and currency is not None:
        gross_minor = money.to_minor(amount, currency)
        lost = loss(reversals, its, gross_minor, currency)
        net_minor, conflicts = max(gross_minor - lost.taken_minor, 0), lost.conflicts
    taken_whole = bool(reversals) or any(each.takes is not None for each in its)
    return Conversion(
        order=record.data["order"],
        kind=record.data["kind"],
        occurred_at=record.occurred_at,
        gross_minor=gross_minor,
        net_minor=net_minor,
        currency=currency,
        new_customer=record.data.get("new_customer"),
        record=record,
        records=tuple(records),
        reversals=tuple(reversals),
        of_kind=record.data["kind"] in terms.qualifying.kinds,
        # Without an amount there is nothing to subtract from: whatever was taken is all of it.
        counts=not taken_whole if net_minor is None else _enough(net_minor, currency, terms),
        would_count=gross_minor is None or _enough(gross_minor, currency, terms),
        disputes=its,
        conflicts=conflicts,
    )


def _enough(amount_minor: int, currency: str | None, terms: Terms) -> bool:
    """Whether an amount is above zero and at least the minimum, which is not applied in another currency."""
    minimum = terms.qualifying.minimum
    if minimum is None or currency != terms.currency:
        return amount_minor > 0
    return amount_minor > 0 and amount_minor >= terms.minor(minimum)
