"""Closed referrals: the digest that a decision to reopen one covers, and the facts that arrive late."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.decisions.decision import KNOWN, Decision
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import PAID, Reason
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case, Past, case_on
from referral_rewards.register.referrals.rows import Referral

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


def covers(row: Referral, decision: Decision) -> bool:
    """Return whether a decision was made on this closing of the referral, whatever came since."""
    return decision.digest == closing_digest(row, known_at(decision))


def known_at(decision: Decision) -> int | None:
    """Return the facts version that whoever decided on a closing saw; None for any other decision."""
    known = (decision.details or {}).get(KNOWN)
    return known if isinstance(known, int) else None


def upheld(row: Referral, made: Iterable[Decision]) -> int | None:
    """Return up to which facts version people decided to leave this closing as it is; None if nobody did."""
    denials = (each for each in made if each.kind is DecisionKind.DENY and covers(row, each))
    return max((known for each in denials if (known := known_at(each)) is not None), default=None)


async def still_closed(
    connection: AsyncConnection, row: Referral, now: datetime, past: Past, upheld_at: int | None
) -> Standing:
    """Leave a closed referral as it is, count the late facts that matter for the queue, and return the standing.

    What came until the facts version ``upheld_at`` was answered by a person and is not counted.
    """
    assert row.closed_version is not None
    answered = max(row.closed_version, upheld_at or 0)
    admitted = [each.fact for each in past.linked if each.version <= answered]
    late = [each.fact for each in past.linked if each.version > answered and each.fact.type not in _OF_THEIR_OWN_KIND]
    bearing = [fact for fact in late if _bears_on(fact, row)]
    before, after = case_on(row, now, admitted, past), case_on(row, now, [*admitted, *late], past)
    if late and not bearing and _verdict(before) != _verdict(after):
        bearing = late
    at_closing = late_at_closing(before) if before is not None and upheld_at is None else 0
    values: dict[str, Any] = {"judged_version": row.facts_version, "late_facts": at_closing + len(bearing)}
    if upheld_at is not None:
        values["answered_version"] = max(upheld_at, row.answered_version or 0)
    await referrals.write(connection, row, now, **values)
    assert row.status is not None
    return Standing(
        status=row.status,
        reason=Reason(row.reason) if row.reason else None,
        facts_version=row.facts_version,
        closed=True,
        program=row.program or "",
    )


def late_at_closing(case: Case) -> int:
    """Count the facts that a closing leaves for a person: claims that came too late."""
    return len({fact.id for fact in case.course.untimely})


def _bears_on(fact: Fact, row: Referral) -> bool:
    if fact.type is FactType.ATTRIBUTION_CHANGED and row.status in PAID:
        return bool(fact.data["to_referrer"] != row.referrer)
    return fact.type is FactType.REFERRAL_CLAIMED or (fact.type in _ABOUT_THE_ORDER and fact.order == row.order_id)


def _verdict(case: Case | None) -> tuple[Any, ...] | None:
    """Return what a late fact must change in order to matter."""
    if case is None:
        return None
    q = case.course.conversion
    enrolled = any(fact.type is FactType.REFERRER_ENROLLED for fact in case.facts)
    return (case.version, case.course.status, case.course.reason, q and q.order, q and q.net_minor, enrolled)
