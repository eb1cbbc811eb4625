"""Closed referrals: the digest that a decision to reopen one covers, and the facts that arrive late."""

import hashlib
from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName, order_named
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.case import Case, Past, case_on
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.referral import Referral

#: These are exceptions of their own kind, which wait since they came.
_OF_THEIR_OWN_KIND: Final = frozenset({FactType.REFERRAL_APPEALED, FactType.CONVERSION_REPORTED})
_ABOUT_THE_ORDER: Final = frozenset({FactType.CONVERSION_REVERSED, FactType.DISPUTE_OPENED, FactType.DISPUTE_CLOSED})


def closing_digest(row: Referral, known: int | None = None) -> str:
    """Return the digest that a decision on a closing covers: this closing of this referral, on the facts judged then,
    and what came late until the facts version that is ``known``; by default all that came."""
    if row.closed_at is not None and known is None:
        known = row.facts_version
    said = f"{row.id}\n{row.round}\n{row.status}\n{row.reason}\n{row.closed_version}\n{known}"
    return hashlib.sha256(said.encode()).hexdigest()


def late_facts(
    row: Referral, now: datetime, past: Past, upheld_at: int | None = None, former: Set[OrderName] = frozenset()
) -> int:
    """Return how many facts that came after a referral had closed matter, so that a person has to look at it.

    What came until the facts version ``upheld_at`` was answered by a person and is not counted. ``former`` are orders
    of which a reward still stands, though the referral was reopened for another.
    """
    assert row.closed_version is not None
    answered = max(row.closed_version, upheld_at or 0)
    admitted = [each.fact for each in past.linked if each.version <= answered]
    late = [each.fact for each in past.linked if each.version > answered and each.fact.type not in _OF_THEIR_OWN_KIND]
    about_it = _may_be_about(past.facts, {*former, row.order})
    bearing = [fact for fact in late if _bears_on(fact, row, about_it)]
    before, after = case_on(row, now, admitted, past), case_on(row, now, [*admitted, *late], past)
    if late and not bearing and _verdict(before) != _verdict(after):
        bearing = late
    at_closing = late_at_closing(before) if before is not None and upheld_at is None else 0
    return at_closing + len(bearing)


def late_at_closing(case: Case) -> int:
    """Count the facts that a closing leaves for a person: claims that came too late."""
    return len({fact.id for fact in case.course.untimely})


def _may_be_about(facts: Sequence[Fact], orders: Iterable[OrderName | None]) -> frozenset[UUID]:
    """Return the ids of the facts about these orders, also of those of which nobody can tell whether they are."""
    known = [order for order in (order_named(facts, name) for name in orders) if order is not None]
    return frozenset(fact.id for order in known for fact in (*order.facts, *order.doubtful))


def _bears_on(fact: Fact, row: Referral, about_it: Set[UUID]) -> bool:
    if fact.type is FactType.ATTRIBUTION_CHANGED and row.status in PAID:
        return bool(fact.data["to_referrer"] != row.referrer)
    return fact.type is FactType.REFERRAL_CLAIMED or (fact.type in _ABOUT_THE_ORDER and fact.id in about_it)


def _verdict(case: Case | None) -> tuple[Any, ...] | None:
    """Return what a late fact must change in order to matter."""
    if case is None:
        return None
    q = case.course.conversion
    enrolled = any(fact.type is FactType.REFERRER_ENROLLED for fact in case.facts)
    return (case.version, case.course.status, case.course.reason, q and q.order, q and q.net_minor, enrolled)
