"""Closed referrals: the digest that a decision to reopen one covers, and the facts that arrive late."""

import hashlib
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.case import Case, Past, case_on
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.referral import Referral

_LATE_IN_ANY_CASE: Final = frozenset({FactType.REFERRAL_CLAIMED, FactType.REFERRAL_APPEALED})
_ABOUT_THE_ORDER: Final = frozenset({FactType.CONVERSION_REVERSED, FactType.DISPUTE_OPENED, FactType.DISPUTE_CLOSED})


def closing_digest(row: Referral) -> str:
    """Return the digest that a decision to reopen covers: this closing of this referral, on the facts judged then."""
    said = f"{row.id}\n{row.round}\n{row.status}\n{row.reason}\n{row.closed_version}"
    return hashlib.sha256(said.encode()).hexdigest()


def late_facts(row: Referral, now: datetime, past: Past) -> int:
    """Return how many facts that came after a referral had closed matter, so that a person has to look at it."""
    assert row.closed_version is not None
    admitted = [each.fact for each in past.linked if each.version <= row.closed_version]
    late = [each.fact for each in past.linked if each.version > row.closed_version]
    bearing = [fact for fact in late if _bears_on(fact, row)]
    before, after = case_on(row, now, admitted, past), case_on(row, now, [*admitted, *late], past)
    if late and not bearing and _verdict(before) != _verdict(after):
        bearing = late
    return (late_at_closing(before) if before else 0) + len(bearing)


def late_at_closing(case: Case) -> int:
    """Count the facts that a closing leaves for a person: claims that came too late, and appeals in a back-fill.

    After a reopening the appeals before it are settled.
    """
    appeals = [f for f in case.facts if f.type is FactType.REFERRAL_APPEALED] if case.row.round == 1 else []
    return len({fact.id for fact in (*case.course.untimely, *appeals)})


def _bears_on(fact: Fact, row: Referral) -> bool:
    if fact.type is FactType.ATTRIBUTION_CHANGED and row.status in PAID:
        return bool(fact.data["to_referrer"] != row.referrer)
    return fact.type in _LATE_IN_ANY_CASE or (fact.type in _ABOUT_THE_ORDER and fact.order == row.order_id)


def _verdict(case: Case | None) -> tuple[Any, ...] | None:
    """Return what a late fact must change in order to matter."""
    if case is None:
        return None
    q = case.course.conversion
    enrolled = any(fact.type is FactType.REFERRER_ENROLLED for fact in case.facts)
    return (case.version, case.course.status, case.course.reason, q and q.order, q and q.net_minor, enrolled)
