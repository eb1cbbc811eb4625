"""A referral as it stood at a past moment, from what was on record then.

The steps of a referral say its status at any moment, and facts when we received them. What its row says besides is the
row's own where nothing changed since, or where a claim that is paid or closed kept it; else the periods say it anew.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.measures.deriving import Record, denied_by
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.case import acts_of
from referral_rewards.domain.referrals.lifecycle import CLOSED, PAID, ReferralStatus
from referral_rewards.domain.referrals.origin import OriginKind, origin
from referral_rewards.domain.referrals.referral import Referral

_FROZEN: Final = CLOSED | PAID
_REWARDED: Final = frozenset({ReferralStatus.REWARDED, ReferralStatus.CLAWED_BACK})


class Step(NamedTuple):
    """A change of a referral's status."""

    at: datetime
    status: ReferralStatus
    reason: str | None


def as_it_stood(record: Record, steps: Sequence[Step], denials: Sequence[datetime], moment: datetime) -> Record | None:
    """Return the record as it stood before ``moment``; None if the referral was not judged by then.

    ``steps`` are all that it took, oldest first, and ``denials`` when decisions were signed that denied it. The rewards
    of the record are those of that moment already.
    """
    known = [step for step in steps if step.at < moment]
    if not known:
        return None
    facts = tuple(fact for fact in record.facts if fact.received_at < moment)
    row = _row_then(record.row, facts, record.terms, known, steps[len(known) :], moment)
    return replace(
        record,
        row=row,
        facts=facts,
        assembled=[each for each in record.assembled if each.at < moment],
        denied_at=denied_by(row, denials),
        asked=[at for at in record.asked if at < moment],
    )


def _row_then(
    row: Referral, facts: Sequence[Fact], terms: Terms, known: Sequence[Step], later: Sequence[Step], moment: datetime
) -> Referral:
    last = known[-1]
    if not later and row.judged_at is not None and row.judged_at < moment:
        return row
    kept = last.status in _FROZEN and all(step.status in _FROZEN for step in later)
    its = row if kept else _by_the_periods(row, facts, terms, last, moment)
    return replace(
        its,
        status=last.status,
        reason=last.reason,
        closed_at=last.at if last.status in CLOSED else None,
        rewarded_at=_rewarded_at(row, known, moment),
    )


def _by_the_periods(row: Referral, facts: Sequence[Fact], terms: Terms, last: Step, moment: datetime) -> Referral:
    """Return the row with what its facts said by the moment; of a closed referral, by its closing."""
    by = last.at if last.status in CLOSED else moment
    seen = [fact for fact in facts if fact.received_at <= by]
    begun = origin(seen, by)
    if begun is None:
        return row
    if begun.kind is OriginKind.REQUEST:
        return replace(row, began_at=begun.began_at, claimed_at=None, order_id=None, stores=())
    begun = replace(begun, referrer=row.referrer or begun.referrer)
    course = periods.course(seen, terms, by, origin=begun, linked=acts_of(row).orders)
    q = course.conversion
    return replace(
        row,
        began_at=begun.began_at,
        claimed_at=course.claimed_at,
        order_id=q.order if q is not None else None,
        stores=tuple(q.which.in_stores) if q is not None else (),
    )


def _rewarded_at(row: Referral, known: Sequence[Step], moment: datetime) -> datetime | None:
    """When it was last rewarded for the first time by then; an exchange since begins anew."""
    if row.rewarded_at is not None and row.rewarded_at < moment:
        return row.rewarded_at
    since = next((at for at in range(len(known), 0, -1) if known[at - 1].status not in PAID), 0)
    return next((step.at for step in known[since:] if step.status in _REWARDED), None)
