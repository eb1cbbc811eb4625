"""Whom we write to and when (SPEC §6): what a change of status gives rise to, and whether now is the time to tell it.

Denials and cancellations are always told. A reminder or a survey is a courtesy: it is left out where it would come at
a bad time, and the reason is kept.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from referral_rewards.domain import calendar
from referral_rewards.domain.claims.findings import instant
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.labels import label, listed
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.consent_and_issues import latest_consent, open_issues
from referral_rewards.domain.referrals.lifecycle import CLOSED, ReferralStatus

_S = ReferralStatus


class Template(StrEnum):
    """What can be told, by the name of the letter that tells it."""

    CLAIM_REMINDER = "claim_reminder"
    APPROVED = "approved"
    APPROVAL_CANCELLED = "approval_cancelled"
    EVIDENCE_REQUESTED = "evidence_requested"
    REWARDED = "rewarded"
    SATISFACTION_SURVEY = "satisfaction_survey"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CLAWED_BACK = "clawed_back"
    APPROVAL_REMINDER = "approval_reminder"
    APPROVAL_ESCALATION = "approval_escalation"


#: Left out at a bad time; everything else is told.
COURTESIES: Final = frozenset({Template.CLAIM_REMINDER, Template.SATISFACTION_SURVEY})
#: To those who work here, whenever it is due.
TO_APPROVERS: Final = frozenset({Template.APPROVAL_REMINDER, Template.APPROVAL_ESCALATION})
#: A survey in the same minute as the reward would ask before anything could be seen of it.
PAUSES: Final = {Template.SATISFACTION_SURVEY: timedelta(days=1)}
#: Where a referral stands while a message still says something.
_SAYS_SOMETHING: Final = {
    Template.CLAIM_REMINDER: {_S.PURCHASED_UNCLAIMED},
    Template.APPROVED: {_S.APPROVED},
    Template.APPROVAL_CANCELLED: set(_S) - {_S.APPROVED, _S.PAYING, _S.REWARDED, *CLOSED},
    Template.EVIDENCE_REQUESTED: {_S.IN_REVIEW, _S.AWAITING_APPROVAL, _S.ON_HOLD},
    Template.REWARDED: {_S.REWARDED},
    Template.SATISFACTION_SURVEY: {_S.REWARDED},
    Template.DENIED: {_S.DENIED},
    Template.EXPIRED: {_S.EXPIRED},
    Template.WITHDRAWN: {_S.WITHDRAWN},
    Template.CLAWED_BACK: {_S.CLAWED_BACK},
    Template.APPROVAL_REMINDER: {_S.AWAITING_APPROVAL},
    Template.APPROVAL_ESCALATION: {_S.AWAITING_APPROVAL},
}
#: What came about so long before it was judged, in facts of the past, is no news to anybody.
NEWS_FOR: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Telling:
    """One message that a change gives rise to, and the side that it is for."""

    template: Template
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of status, to ``after``. ``took_part``: the referee has accepted the invitation, in time or not;
    ``rewarded`` are the sides that the claim rewards; ``at_once``: the terms pay as soon as it is approved."""

    after: ReferralStatus
    took_part: bool
    rewarded: Collection[Side] = ()
    at_once: bool = True


def tellings(change: Change) -> tuple[Telling, ...]:
    """What is told because of it, and to whom. Somebody who was invited and never answered is not written to about
    how it ended."""
    after, rewarded = change.after, [side for side in Side if side in change.rewarded]
    match after:
        case _S.PURCHASED_UNCLAIMED:
            return (Telling(Template.CLAIM_REMINDER, Side.REFEREE),)
        case _S.DENIED | _S.EXPIRED | _S.WITHDRAWN:
            sides = [Side.REFERRER, *([Side.REFEREE] if change.took_part else [])]
            return tuple(Telling(Template(after.value), side) for side in sides)
        case _S.APPROVED if not change.at_once:
            return tuple(Telling(Template.APPROVED, side) for side in rewarded)
        case _S.REWARDED:
            letters = (Template.REWARDED, Template.SATISFACTION_SURVEY)
            return tuple(Telling(letter, side) for letter in letters for side in rewarded)
        case _S.CLAWED_BACK:
            return tuple(Telling(Template.CLAWED_BACK, side) for side in rewarded)
    return ()


def overtaken(template: Template, status: ReferralStatus) -> str | None:
    """Why a message has nothing left to say where the referral stands by now, or None."""
    return (
        None
        if status in _SAYS_SOMETHING[template]
        else f"No longer needed: the referral is {label('status', status)} by now."
    )


def no_news(came_about_at: datetime, judged_at: datetime) -> str | None:
    """Why what came about then is not told any more, or None."""
    if judged_at - came_about_at <= NEWS_FOR:
        return None
    return f"This happened {instant(came_about_at)}, too long ago to tell anybody now."


def objection(side: Side, said: Iterable[Fact], *, dispute: str | None) -> str | None:
    """Why a courtesy would come at a bad time for this person, in one sentence, or None.

    ``said`` are the facts about the person in their order of precedence; ``dispute`` says that one of the purchase is
    open. Whoever enrolled as a referrer asked to be part of it and is written to until they say no; a referee has to
    have said yes.
    """
    about = list(said)
    if still_open := open_issues(about):
        return f"A customer issue is unresolved: {listed(sorted(fact.data['issue'] for fact in still_open))}."
    if dispute is not None:
        return dispute
    latest = latest_consent(about, "contact")
    if latest is not None and not latest[1]:
        return f"Consent to be contacted was refused or withdrawn {instant(latest[0].occurred_at)}."
    if latest is None and side is Side.REFEREE:
        return "There is no consent to be contacted on record."
    return None


def opens_at(now: datetime, terms: Terms) -> datetime | None:
    """When (UTC) the program's contact hours open next, or None if people may be written to at ``now``.

    On the wall clock of the program's zone: an hour that a spring change skips opens when the clock has moved on.
    """
    hours = terms.contact_hours
    if hours is None:
        return None
    local = now.astimezone(terms.zone)
    if hours.start <= local.time() < hours.end:
        return None
    day = local.date() if local.time() < hours.start else local.date() + timedelta(days=1)
    opening = calendar.at_wall_clock(day, hours.start, terms.zone)
    # In the hour that an autumn change repeats the clock comes to the opening a second time.
    return opening if opening > now else datetime.combine(day, hours.start.replace(fold=1), terms.zone).astimezone(UTC)
