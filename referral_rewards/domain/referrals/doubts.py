"""What the facts of a referral leave for a person to find out, though no fact of them decides it (SPEC §3).

Somebody tells of an order that is not among its conversions; or it closed by time, and with the other one of two
records of an order, or without a refund that may have been told twice, it would have qualified. None of it ever counts
by itself: it waits until a source, or a person, says what is right.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.conversions import Conversion, as_if_its_own, contested_records
from referral_rewards.domain.referrals.lifecycle import CLOSED, WITHOUT_CONVERSION, Reason, ReferralStatus
from referral_rewards.domain.referrals.origin import referee_identity


class Doubt(StrEnum):
    """Why a person must find something out; each is an exception of the queue."""

    REPORTED = "reported"
    CLOSED_IN_CONFLICT = "closed_in_conflict"


#: The facts of each doubt, by their ids, as the referral's row keeps them.
Doubts = Mapping[str, Sequence[str]]

#: Time closed it, and no person or check did.
_BY_TIME: Final = frozenset(
    {Reason.GRACE_PERIOD_ENDED, Reason.INVITATION_NOT_CLAIMED, Reason.NO_CONVERSION, Reason.CONVERSION_REVERSED}
)


def doubts(case: Case, status: ReferralStatus, reason: str | None, order: str | None) -> Doubts | None:
    """Return the facts that a person must look into while the referral has this status; None if there are none.

    ``order`` is its conversion's. With one, nobody has to look for another.
    """
    found: dict[str, list[str]] = {}
    if order is None and (status in WITHOUT_CONVERSION or status in CLOSED):
        found[Doubt.REPORTED] = [str(fact.id) for fact in _reported(case)]
    if reason in _BY_TIME:
        found[Doubt.CLOSED_IN_CONFLICT] = [str(fact.id) for fact in _preventing(case)]
    return {doubt.value: sorted(found[doubt]) for doubt in Doubt if found.get(doubt)} or None


def _reported(case: Case) -> list[Fact]:
    """Return the reports of an order that is not among the referral's conversions, and of a purchase without one."""
    reports = [fact for fact in _seen(case) if fact.type is FactType.CONVERSION_REPORTED]
    if not reports:
        return []
    seen = _seen(case)
    own = periods.conversions(seen, referee_identity(seen, case.now), case.terms, case.acts.orders)
    return [fact for fact in reports if not any(_may_mean(fact, each.name) for each in own)]


def _may_mean(report: Fact, order: OrderName) -> bool:
    """Return whether a report may be of an order: it names the same number, and no other store."""
    return (report.order == order.id and None in (report.store, order.store)) or order == (report.order, report.store)


def _preventing(case: Case) -> list[Fact]:
    """Return the facts, each of which would make the referral qualify if it were read in another way."""
    found = {fact.id: fact for fact in (*_other_versions(case), *_contested(case), *_told_twice(case))}
    return list(found.values())


def _told_twice(case: Case) -> list[Fact]:
    """Return the reversals without which it would qualify, and which another source may have told once more."""
    seen = _seen(case)
    if len({fact.source for fact in seen if fact.type is FactType.CONVERSION_REVERSED}) < 2:
        return []
    own = periods.conversions(seen, referee_identity(seen, case.now), case.terms, case.acts.orders)
    return [fact for each in own if _qualifies_once(each, case) for fact in each.perhaps_twice]


def _contested(case: Case) -> list[Fact]:
    """Return the record that would qualify if each record of the referee that is none of their conversions told of an
    order of its own."""
    seen = _seen(case)
    contested = contested_records(seen, referee_identity(seen, case.now), case.terms, case.acts.orders)
    if not contested:
        return []
    q = _lived(as_if_its_own(case.facts, contested), case)
    return [each.record for each in contested if q is not None and each.record.id == q.record.id]


def _other_versions(case: Case) -> list[Fact]:
    """Return the later records of an order with any one of which, in the place of the others, it would qualify."""
    records: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in _seen(case):
        if fact.type is FactType.CONVERSION_RECORDED:
            records[fact.data["order"]].append(fact)
    return [
        record
        for its in records.values()
        for record in sorted(its, key=lambda each: each.precedence)[1:]
        if _qualifies_with(record, case)
    ]


def _qualifies_with(record: Fact, case: Case) -> bool:
    others = [
        fact for fact in case.facts if fact.type is not FactType.CONVERSION_RECORDED or fact.order != record.order
    ]
    q = _lived([*others, record], case)
    return q is not None and q.order == record.order


def _qualifies_once(its: Conversion, case: Case) -> bool:
    """Return whether it would qualify if what may be told twice counted once, by the larger amount."""
    twice = {fact.id for fact in its.perhaps_twice}
    q = _lived([fact for fact in case.facts if fact.id not in twice], case) if twice else None
    return q is not None and q.name == its.name


def _lived(facts: Sequence[Fact], case: Case) -> Conversion | None:
    """Return *the* conversion that the referral would have with these facts in the place of its own."""
    return periods.course(
        facts, case.terms, case.now, origin=case.origin, linked=case.acts.orders, program=case.program
    ).conversion


def _seen(case: Case) -> list[Fact]:
    return [fact for fact in case.facts if fact.occurred_at <= case.now]
