"""Closed referrals: the digest that a decision to reopen one covers, and the facts that arrive late."""

import hashlib
from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName, order_named
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.case import Case, Past, case_on
from referral_rewards.domain.referrals.consent_and_issues import latest_consent, suspensions, words_on_consent
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.lifecycle import PAID, Reason
from referral_rewards.domain.referrals.origin import referee_identity
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
    at_closing = late_at_closing(before, row.reason) if before is not None and upheld_at is None else 0
    return at_closing + len(bearing)


def late_at_closing(case: Case, reason: str | None = None) -> int:
    """Count the facts that a closing for this reason leaves for a person: claims that came too late, and what happened
    after the closing and would undo its reason, such as a refund that failed or a reinstatement. In a back-fill all of
    them are known at the closing."""
    late = (*case.course.untimely, *_too_late_to_count(case), *_too_late_to_restore(case, reason))
    return len({fact.id for fact in late})


def _too_late_to_restore(case: Case, reason: str | None) -> list[Fact]:
    """Return what lifted a suspension, or gave consent, only after it had denied the claim by rule."""
    begins_at = periods.review_begins(case.course, case.terms)
    if begins_at is None or _is_denied_still(case, reason):
        return []
    return [fact for fact in case.facts if begins_at < fact.occurred_at <= case.now and _restores(fact, case, reason)]


def _restores(fact: Fact, case: Case, reason: str | None) -> bool:
    match reason, fact.type:
        case Reason.REFERRER_SUSPENDED, FactType.REFERRER_REINSTATED:
            return _is_of_referrer(fact, case)
        case Reason.CONSENT_WITHDRAWN, _:
            latest = latest_consent(words_on_consent([fact], referee_identity(case.facts, case.now)), "contact")
            return latest is not None and latest[1]
    return False


def _is_of_referrer(fact: Fact, case: Case) -> bool:
    return (fact.data.get("referrer"), fact.data.get("program")) == (case.origin.referrer, case.origin.program)


def _too_late_to_count(case: Case) -> list[Fact]:
    closed_at, q = case.course.closes_at, _counting(case)
    if closed_at is None or q is None:
        return []
    about_it = {fact.id for fact in (*q.records, *q.told)}
    late = [fact for fact in case.facts if closed_at <= fact.occurred_at <= case.now]
    return [fact for fact in late if fact.id in about_it or fact.type is FactType.REFERRAL_CLAIMED]


def _counting(case: Case) -> Conversion | None:
    """Return the conversion of the offer that counts by now, though time closed the referral because none did."""
    if case.course.reason not in (Reason.NO_CONVERSION, Reason.CONVERSION_REVERSED):
        return None
    return periods.counting(case.facts, case.terms, case.now, linked=case.acts.orders, program=case.program)


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
    q = case.course.conversion or _counting(case)
    by_time = (case.version, case.course.status, case.course.reason, q and q.order, q and q.net_minor)
    return (*by_time, _is_denied_still(case, case.row.reason))


def _is_denied_still(case: Case, reason: str | None) -> bool:
    """Whether the reason still holds for which a rule denied the claim, where facts can undo it."""
    seen = sorted((fact for fact in case.facts if fact.occurred_at <= case.now), key=lambda fact: fact.precedence)
    match reason:
        case Reason.REFERRER_NOT_ENROLLED:
            return not any(fact.type is FactType.REFERRER_ENROLLED for fact in seen)
        case Reason.REFERRER_SUSPENDED:
            return bool(suspensions(fact for fact in seen if _is_of_referrer(fact, case)).taking)
        case Reason.CONSENT_WITHDRAWN:
            latest = latest_consent(words_on_consent(seen, referee_identity(seen, case.now)), "contact")
            return latest is not None and not latest[1]
    return False
