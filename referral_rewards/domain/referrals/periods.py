"""The four periods: where a referral stands at an instant, from its facts, terms and that instant alone (SPEC §4).

`course` lives the referral again, from one fact to the next and through every deadline between them, and stops where
it closes. So a back-fill reaches the verdict of a referral lived in real time by construction: neither reads at any
instant what had not happened by then, and neither reads anything after a closing. The one thing carried from step to
step is whether a return period was over: from then on nothing re-opens time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from referral_rewards.domain import calendar
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.conversions import Conversion, Orders, conversions
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.origin import Origin, OriginKind, referee_identity
from referral_rewards.domain.referrals.rules_of_time import stand

__all__ = ["Conversion", "Course", "conversions", "course", "reopened"]

#: No other fact moves a referral through its periods.
_BEARING: Final = frozenset(
    {
        FactType.REFERRAL_SENT,
        FactType.REFERRAL_CLAIMED,
        FactType.REFERRAL_WITHDRAWN,
        FactType.CONVERSION_RECORDED,
        FactType.CONVERSION_REVERSED,
    }
)


def course(facts: Iterable[Fact], terms: Terms, now: datetime, *, origin: Origin) -> Course:
    """Where the referral that began at ``origin`` stands at ``now``. ``facts`` are all that are linked to it.

    Raises:
        ValueError: if no fact that has happened begins a referral: there is nothing to judge.
    """
    linked = sorted(facts, key=lambda fact: fact.precedence)
    seen = [fact for fact in linked if fact.occurred_at <= now]
    stood = _requested(seen, terms, origin) if origin.kind is OriginKind.REQUEST else _lived(seen, terms, now)
    stood = replace(stood, untimely=_untimely(seen, stood))
    if stood.is_closed:
        return stood
    # A fact from a source whose clock runs ahead of ours takes effect at its own time.
    ahead = [fact.occurred_at for fact in linked if fact.occurred_at > now][:1]
    return replace(stood, wake_at=min([*ahead, *([stood.wake_at] if stood.wake_at else [])], default=None))


def reopened(facts: Iterable[Fact], terms: Terms, now: datetime, *, origin: Origin) -> Course:
    """The course of a referral that a person reopened, late facts admitted.

    Where time would close it again it stands in review instead, with the conversion that would qualify if nothing were
    ever late, or None; the checks say what was late. The decision to reopen is not one to pay.
    """
    linked = list(facts)
    judged = course(linked, terms, now, origin=origin)
    if not judged.is_closed:
        return judged
    seen = [fact for fact in linked if fact.occurred_at <= now]
    own = conversions(seen, referee_identity(seen, now), terms)
    able = [each for each in own if each.of_kind and each.counts]
    after = [each for each in able if each.occurred_at >= judged.began_at]
    q = next(iter(after or able), None)
    return replace(judged, status=ReferralStatus.IN_REVIEW, reason=None, closes_at=None, conversion=q)


def _lived(seen: Sequence[Fact], terms: Terms, now: datetime) -> Course:
    """The referral's life up to ``now``.

    A deadline is passed once the arrival allowance is over, with what had happened by then.
    """
    stood: Course | None = None
    told_at: datetime | None = None
    shape, time_over = None, False
    orders = Orders(terms)
    bearing = [fact for fact in seen if fact.type in _BEARING]
    for known, news, until in _steps(bearing, now):
        for fact in news:
            orders.add(fact)
        if (standing := stand(known, orders, terms, news[0].occurred_at, time_over=time_over)) is None:
            continue
        if shape != (shape := _shape(standing)):
            told = [fact.received_at for fact in news if fact.awaits_stragglers]
            told_at = max([*told, *([told_at] if told_at else [])], default=None)
        stood = standing
        if stood.is_closed:
            return stood
        if stood.deadline is not None and stood.deadline <= until:
            time_over = time_over or stood.next_status is ReferralStatus.IN_REVIEW
            allowed = _allowed(stood.deadline, terms)
            if until < allowed or (until == allowed and len(known) < len(bearing)):
                continue  # not closed yet: what happens within the allowance is still seen
            shows_at = _shows_at(stood.deadline, told_at, seen, terms)
            if shows_at > now:
                return replace(stood, wake_at=shows_at)
            stood = stood.past_deadline()
            if stood.is_closed:
                return stood
    if stood is None:
        raise ValueError("these facts begin no referral")
    return stood if stood.deadline is None else replace(stood, wake_at=_shows_at(stood.deadline, told_at, seen, terms))


def _steps(seen: Sequence[Fact], now: datetime) -> Iterator[tuple[Sequence[Fact], Sequence[Fact], datetime]]:
    """Each instant at which something happened: all that was known then, what was new, and the next such instant.

    What happens at one instant happens together. After the last one comes ``now``.
    """
    starts = [index for index, fact in enumerate(seen) if not index or seen[index - 1].occurred_at != fact.occurred_at]
    for start, end in pairwise([*starts, len(seen)]):
        yield seen[:end], seen[start:end], seen[end].occurred_at if end < len(seen) else now


def _shape(stood: Course) -> tuple[object, ...]:
    """What a referral waits for. A fact that leaves it as it is has told nothing that others could follow."""
    return (stood.status, stood.deadline, stood.conversion and stood.conversion.order)


def _shows_at(deadline: datetime, told_at: datetime | None, seen: Sequence[Fact], terms: Terms) -> datetime:
    """When the step at a deadline shows: once nothing has arrived for the allowance, for what occurred in time.

    ``told_at`` is when we were told what the deadline follows from. Each arrival before the step shows puts it off
    again; one after it does not take the step back. Facts of a finished file wait for nobody.
    """
    shows_at = _allowed(max(deadline, told_at or deadline), terms)
    for arrival in sorted(fact.received_at for fact in seen if fact.awaits_stragglers):
        if arrival <= shows_at:
            shows_at = max(shows_at, _allowed(arrival, terms))
    return shows_at


def _allowed(moment: datetime, terms: Terms) -> datetime:
    return calendar.end_of(moment, terms.periods.arrival_allowance, terms.zone)


def _untimely(seen: Sequence[Fact], stood: Course) -> tuple[Fact, ...]:
    """The claims that came when the door was shut, and the appeals against a closing by time."""
    shut_at = stood.claim_by if stood.claimed_at is None else None
    since = {FactType.REFERRAL_CLAIMED: shut_at, FactType.REFERRAL_APPEALED: stood.closes_at}
    return tuple(fact for fact in seen if (at := since.get(fact.type)) is not None and fact.occurred_at >= at)


def _requested(seen: Sequence[Fact], terms: Terms, origin: Origin) -> Course:
    """A request for a reward that matches no referral has no periods: a person looks at the order that it names."""
    named = next((fact.order for fact in seen if fact.type is FactType.REWARD_REQUESTED), None)
    own = conversions(seen, referee_identity(seen, origin.began_at), terms)
    stood = Course(
        status=ReferralStatus.IN_REVIEW,
        began_at=origin.began_at,
        conversion=next((each for each in own if each.order == named), None),
    )
    withdrawal = next((f.occurred_at for f in seen if f.type is FactType.REFERRAL_WITHDRAWN), None)
    if withdrawal is None:
        return stood
    return stood.closed(ReferralStatus.WITHDRAWN, None, max(withdrawal, origin.began_at))
