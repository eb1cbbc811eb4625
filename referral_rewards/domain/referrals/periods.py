"""The four periods: a referral's status at an instant, from its facts, terms and that instant alone (SPEC §4).

`course` replays the referral from one fact to the next, through every deadline between them, and stops where it closes.
A back-fill therefore reaches the same verdict as a referral processed in real time: at every instant both read only
what had happened by then, and neither reads anything after the closing.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from referral_rewards.domain import calendar
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName, name_of
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, FactType
from referral_rewards.domain.programs.life import RUNNING, Life
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.conversions import Conversion, Orders, conversions, in_doubt
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.domain.referrals.origin import Origin, OriginKind, referee_identity
from referral_rewards.domain.referrals.rules_of_time import of_the_offer, stand

__all__ = [
    "Conversion",
    "Course",
    "conversions",
    "counting",
    "course",
    "reopened",
    "replacement",
    "review_begins",
    "taken_back",
]

#: The only facts that move a referral through its periods.
_BEARING: Final = frozenset(
    {
        FactType.REFERRAL_SENT,
        FactType.REFERRAL_CLAIMED,
        FactType.REFERRAL_WITHDRAWN,
        FactType.CONVERSION_RECORDED,
        *ABOUT_AN_ORDER,
    }
)


def course(
    facts: Iterable[Fact],
    terms: Terms,
    now: datetime,
    *,
    origin: Origin,
    linked: Set[OrderName] = frozenset(),
    program: Life = RUNNING,
) -> Course:
    """Return the course at ``now`` of the referral that began at ``origin``. ``facts`` are all that are linked to it,
    ``linked`` the orders that people linked to it by hand, and ``program`` is what was decided on its program.

    Raises:
        ValueError: if no fact up to ``now`` begins a referral: there is nothing to judge.
    """
    its = sorted(facts, key=lambda fact: fact.precedence)
    seen = [fact for fact in its if fact.occurred_at <= now]
    requested = origin.kind is OriginKind.REQUEST
    stood = _requested(seen, terms, program, origin, linked) if requested else _lived(seen, terms, program, now, linked)
    stood = replace(stood, untimely=_untimely(seen, stood))
    if stood.is_closed:
        return stood
    # A fact from a source whose clock runs ahead of ours takes effect at its own time.
    ahead = [fact.occurred_at for fact in its if fact.occurred_at > now][:1]
    return replace(stood, wake_at=min([*ahead, *([stood.wake_at] if stood.wake_at else [])], default=None))


def reopened(
    facts: Iterable[Fact],
    terms: Terms,
    now: datetime,
    *,
    origin: Origin,
    linked: Set[OrderName] = frozenset(),
    program: Life = RUNNING,
) -> Course:
    """Return the course of a referral that a person reopened, with late facts admitted.

    If time would close it again, it is in review instead, with the conversion that would qualify if nothing were ever
    late, or None; the checks say what was late. The decision to reopen is not a decision to pay.
    """
    its = list(facts)
    judged = course(its, terms, now, origin=origin, linked=linked, program=program)
    if not judged.is_closed:
        return judged
    seen = [fact for fact in its if fact.occurred_at <= now]
    own = conversions(seen, referee_identity(seen, now), terms, linked)
    able = [each for each in own if each.of_kind and each.counts]
    after = [each for each in able if each.occurred_at >= judged.began_at]
    in_time = [each for each in _in_offer(seen, terms, program, now, linked) if each.counts]
    # Nobody else is rewarded for an order of which it takes a person to say whose it is.
    doubted = [each for each in in_doubt(seen, referee_identity(seen, now), terms, linked) if each.of_kind]
    q = next(iter(in_time or after or able or [each for each in doubted if each.counts]), None)
    return replace(judged, status=ReferralStatus.IN_REVIEW, reason=None, closes_at=None, conversion=q)


def review_begins(stood: Course, terms: Terms) -> datetime | None:
    """Return when the claim is first assembled if nothing arrives late; None of a referral without a return period."""
    return None if stood.return_ends is None else _allowed(stood.return_ends, terms)


def replacement(
    facts: Iterable[Fact],
    terms: Terms,
    now: datetime,
    *,
    order: OrderName | None,
    linked: Set[OrderName] = frozenset(),
    program: Life = RUNNING,
) -> Conversion | None:
    """Return the conversion that would qualify in the place of the order that was paid for; None while that one counts,
    or if there is no other within the offer."""
    seen = [fact for fact in facts if fact.occurred_at <= now]
    in_offer = _in_offer(seen, terms, program, now, linked)
    if any(each.counts and each.which.is_named(order) for each in in_offer):
        return None
    return next((each for each in in_offer if each.counts), None)


def counting(
    facts: Iterable[Fact],
    terms: Terms,
    now: datetime,
    *,
    linked: Set[OrderName] = frozenset(),
    program: Life = RUNNING,
) -> Conversion | None:
    """Return the earliest conversion of the offer that counts, even if it did not when the offer ended; None if none
    does."""
    seen = [fact for fact in facts if fact.occurred_at <= now]
    return next((each for each in _in_offer(seen, terms, program, now, linked) if each.counts), None)


def taken_back(
    facts: Iterable[Fact],
    terms: Terms,
    now: datetime,
    *,
    linked: Set[OrderName] = frozenset(),
    program: Life = RUNNING,
) -> Conversion | None:
    """Return the earliest conversion of the offer that would have qualified by the largest amount that it had; None if
    none would."""
    seen = [fact for fact in facts if fact.occurred_at <= now]
    return next((each for each in _in_offer(seen, terms, program, now, linked) if each.would_count), None)


def _in_offer(
    seen: Iterable[Fact], terms: Terms, program: Life, now: datetime, linked: Set[OrderName]
) -> list[Conversion]:
    orders, known = Orders(terms, linked), sorted(seen, key=lambda fact: fact.precedence)
    for fact in known:
        orders.add(fact)
    return of_the_offer(known, orders, terms, program, now)


def _lived(seen: Sequence[Fact], terms: Terms, program: Life, now: datetime, linked: Set[OrderName]) -> Course:
    """Replay the referral up to ``now``.

    A deadline takes effect once the arrival allowance is over, with the facts that had occurred by the deadline.
    """
    stood: Course | None = None
    told_at: datetime | None = None
    shape = None
    orders = Orders(terms, linked)
    bearing = [fact for fact in seen if fact.type in _BEARING]
    for known, news, until in _steps(bearing, now):
        for fact in news:
            orders.add(fact)
        if (standing := stand(known, orders, terms, program, news[0].occurred_at)) is None:
            continue
        if shape != (shape := _shape(standing)):
            told = [fact.received_at for fact in news if fact.awaits_stragglers]
            told_at = max([*told, *([told_at] if told_at else [])], default=None)
        stood = standing
        if stood.is_closed:
            return stood
        if stood.deadline is not None and stood.deadline <= until:
            allowed = _allowed(stood.deadline, terms)
            if until < allowed or (until == allowed and len(known) < len(bearing)):
                continue  # not closed yet: facts within the allowance still count
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
    """Yield, per instant at which something happened, all facts known then, the new ones, and the next such instant.

    Facts of one instant are taken together. After the last instant comes ``now``.
    """
    starts = [index for index, fact in enumerate(seen) if not index or seen[index - 1].occurred_at != fact.occurred_at]
    for start, end in pairwise([*starts, len(seen)]):
        yield seen[:end], seen[start:end], seen[end].occurred_at if end < len(seen) else now


def _shape(stood: Course) -> tuple[object, ...]:
    """Return what a referral waits for, to notice the facts that change it."""
    return (stood.status, stood.deadline, stood.conversion and stood.conversion.order)


def _shows_at(deadline: datetime, told_at: datetime | None, seen: Sequence[Fact], terms: Terms) -> datetime:
    """Return when the step at a deadline takes effect: once no fact has arrived for the length of the allowance.

    ``told_at`` is when the fact that set the deadline was received. Each arrival before the step postpones it again; a
    later one does not undo it. Facts of a finished file do not wait.
    """
    shows_at = _allowed(max(deadline, told_at or deadline), terms)
    for arrival in sorted(fact.received_at for fact in seen if fact.awaits_stragglers):
        if arrival <= shows_at:
            shows_at = max(shows_at, _allowed(arrival, terms))
    return shows_at


def _allowed(moment: datetime, terms: Terms) -> datetime:
    return calendar.end_of(moment, terms.periods.arrival_allowance, terms.zone)


def _untimely(seen: Sequence[Fact], stood: Course) -> tuple[Fact, ...]:
    """Return the claims that came too late."""
    shut_at = stood.claim_by if stood.claimed_at is None else None
    claims = (fact for fact in seen if fact.type is FactType.REFERRAL_CLAIMED)
    return tuple(fact for fact in claims if shut_at is not None and fact.occurred_at >= shut_at)


def _requested(seen: Sequence[Fact], terms: Terms, program: Life, origin: Origin, linked: Set[OrderName]) -> Course:
    """Return the course of a request for a reward without a referral: no periods; a person reviews its order."""
    named = next((name_of(fact) for fact in seen if fact.type is FactType.REWARD_REQUESTED), None)
    own = conversions(seen, referee_identity(seen, origin.began_at), terms, linked)
    stood = Course(
        status=ReferralStatus.IN_REVIEW,
        began_at=origin.began_at,
        conversion=next((each for each in own if _is_asked_for(each, named, linked)), None),
    )
    if program.has_ended(origin.began_at):
        return stood.closed(ReferralStatus.DENIED, Reason.PROGRAM_NOT_ACTIVE, origin.began_at)
    withdrawal = next((f.occurred_at for f in seen if f.type is FactType.REFERRAL_WITHDRAWN), None)
    if withdrawal is None:
        return stood
    return stood.closed(ReferralStatus.WITHDRAWN, None, max(withdrawal, origin.began_at))


def _is_asked_for(own: Conversion, named: OrderName | None, linked: Set[OrderName]) -> bool:
    """Whether a conversion of the referee is the one that the request names, or was linked by hand. A request that
    names no store means the referee's own order, whoever else has one of that id."""
    if any(map(own.which.is_named, linked)):
        return True
    return own.which.may_be(named)
