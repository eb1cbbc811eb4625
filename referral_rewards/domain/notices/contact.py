"""Messages (SPEC §6): their states, which ones a status causes, to whom they go, and whether now is a good time.

Denials and cancellations are always sent. A reminder or a survey is a courtesy: it is suppressed if it would come at a
bad time, and the reason is recorded.
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
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.consent_and_issues import latest_consent, open_issues
from referral_rewards.domain.referrals.lifecycle import CLOSED, Reason, ReferralStatus

_S = ReferralStatus


class Template(StrEnum):
    """The kinds of message, by the name of their template."""

    CLAIM_REMINDER = "claim_reminder"
    APPROVED = "approved"
    LEFT_OUT = "left_out"
    APPROVAL_CANCELLED = "approval_cancelled"
    EVIDENCE_REQUESTED = "evidence_requested"
    REWARDED = "rewarded"
    SATISFACTION_SURVEY = "satisfaction_survey"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CLAWED_BACK = "clawed_back"
    GIVEN_BACK = "given_back"
    APPROVAL_REMINDER = "approval_reminder"
    APPROVAL_ESCALATION = "approval_escalation"
    METHOD_NEEDED = "method_needed"
    METHOD_CHANGED = "method_changed"
    APPEAL_ADMITTED = "appeal_admitted"
    APPEAL_REJECTED = "appeal_rejected"


#: Suppressed at a bad time; every other message is sent.
COURTESIES: Final = frozenset({Template.CLAIM_REMINDER, Template.SATISFACTION_SURVEY})
#: Sent to approvers, whenever it is due.
TO_APPROVERS: Final = frozenset({Template.APPROVAL_REMINDER, Template.APPROVAL_ESCALATION})
#: Sent at any hour: whoever it warns has a day to object.
WARNINGS: Final = frozenset({Template.METHOD_CHANGED})
#: A survey right after the payment would ask before the reward can have arrived, and right after a denial before it
#: was read.
PAUSES: Final = {Template.SATISFACTION_SURVEY: timedelta(days=1)}
#: The statuses in which a message is still relevant.
_SAYS_SOMETHING: Final = {
    Template.CLAIM_REMINDER: {_S.PURCHASED_UNCLAIMED},
    Template.APPROVED: {_S.APPROVED},
    Template.LEFT_OUT: {_S.APPROVED, _S.PAYING, _S.REWARDED, _S.CLAWED_BACK},
    Template.APPROVAL_CANCELLED: set(_S) - {_S.APPROVED, _S.PAYING, _S.REWARDED, *CLOSED},
    Template.EVIDENCE_REQUESTED: {_S.IN_REVIEW, _S.AWAITING_APPROVAL, _S.ON_HOLD},
    Template.REWARDED: {_S.REWARDED},
    Template.SATISFACTION_SURVEY: {_S.REWARDED, _S.DENIED},
    Template.DENIED: {_S.DENIED},
    Template.EXPIRED: {_S.EXPIRED},
    Template.WITHDRAWN: {_S.WITHDRAWN},
    Template.CLAWED_BACK: set(_S) - {_S.INVITED, _S.PURCHASED_UNCLAIMED},  # what was taken was taken
    Template.GIVEN_BACK: set(_S) - {_S.INVITED, _S.PURCHASED_UNCLAIMED},
    Template.APPROVAL_REMINDER: {_S.AWAITING_APPROVAL},
    Template.APPROVAL_ESCALATION: {_S.AWAITING_APPROVAL},
    Template.METHOD_NEEDED: {_S.APPROVED, _S.PAYING, _S.REWARDED},
    Template.METHOD_CHANGED: set(_S),
    Template.APPEAL_ADMITTED: set(_S),
    Template.APPEAL_REJECTED: {*CLOSED, _S.REWARDED, _S.CLAWED_BACK},
}
#: A change that happened so long before it was judged, from facts of the past, is not announced any more.
NEWS_FOR: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Telling:
    """One message that a change causes, and the side that it is for."""

    template: Template
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of status to ``after``. ``took_part``: the referee has accepted the invitation, in time or not.
    ``rewarded`` are the sides that the claim rewards, and ``left_out`` those whose reward a person left out.
    ``at_once``: the terms pay as soon as the claim is approved. ``surveyed``: people are asked how satisfied they
    are."""

    after: ReferralStatus
    took_part: bool
    rewarded: Collection[Side] = ()
    left_out: Collection[Side] = ()
    at_once: bool = True
    surveyed: bool = True


def tellings(change: Change) -> tuple[Telling, ...]:
    """Return the messages that a change causes. A person who was invited and never answered gets no message about how
    the referral ended."""
    after, rewarded = change.after, [side for side in Side if side in change.rewarded]
    match after:
        case _S.PURCHASED_UNCLAIMED:
            return (Telling(Template.CLAIM_REMINDER, Side.REFEREE),)
        case _S.DENIED | _S.EXPIRED | _S.WITHDRAWN:
            sides = [Side.REFERRER, *([Side.REFEREE] if change.took_part else [])]
            ended = tuple(Telling(Template(after.value), side) for side in sides)
            return (*ended, *_surveys(change, sides)) if after is _S.DENIED else ended
        case _S.APPROVED:
            nothing = tuple(Telling(Template.LEFT_OUT, side) for side in Side if side in change.left_out)
            return nothing if change.at_once else (*(Telling(Template.APPROVED, side) for side in rewarded), *nothing)
        case _S.REWARDED:
            return (*(Telling(Template.REWARDED, side) for side in rewarded), *_surveys(change, rewarded))
    return ()


def _surveys(change: Change, sides: Iterable[Side]) -> tuple[Telling, ...]:
    return tuple(Telling(Template.SATISFACTION_SURVEY, side) for side in sides) if change.surveyed else ()


def surveyed(terms: Terms, reason: Reason | None) -> bool:
    """Return whether people are asked how satisfied they are with this ending. A second invitation of one friend ends
    as a duplicate because the first was rewarded: that one asks."""
    return terms.satisfaction_survey and reason is not Reason.DUPLICATE_CLAIM


def asked_enough(*, asked: bool, answered: bool) -> str | None:
    """Return why a person gets no survey about a referral, or None: each is asked once and answers once."""
    if answered:
        return "They have answered already."
    return "They were asked before." if asked else None


def overtaken(template: Template, status: ReferralStatus) -> str | None:
    """Why a message has nothing left to say where the referral stands by now, or None."""
    return (
        None
        if status in _SAYS_SOMETHING[template]
        else f"No longer needed: the referral is {label('status', status)} by now."
    )


def no_news(came_about_at: datetime, judged_at: datetime) -> str | None:
    """Return why a change from that time is no longer announced, or None."""
    if judged_at - came_about_at <= NEWS_FOR:
        return None
    return f"This happened {instant(came_about_at)}, too long ago to tell anybody now."


def objection(side: Side, said: Iterable[Fact], *, dispute: str | None) -> str | None:
    """Return why a courtesy would come at a bad time for this person, in one sentence, or None.

    ``said`` are the facts about the person in their order of precedence; ``dispute`` is a sentence if a dispute of the
    purchase is open. A referrer enrolled, so they get courtesies until they refuse; a referee must have consented.
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
    """Return when (UTC) the program's contact hours open next, or None if messages may be sent at ``now``.

    Uses the wall clock of the program's zone: hours that start in a skipped spring hour open right after the gap.
    """
    hours = terms.contact_hours
    if hours is None:
        return None
    local = now.astimezone(terms.zone)
    if hours.start <= local.time() < hours.end:
        return None
    day = local.date() if local.time() < hours.start else local.date() + timedelta(days=1)
    opening = calendar.at_wall_clock(day, hours.start, terms.zone)
    # In the repeated autumn hour the clock reaches the opening time a second time.
    return opening if opening > now else datetime.combine(day, hours.start.replace(fold=1), terms.zone).astimezone(UTC)


class NoticeState(StrEnum):
    """The state of a message; all but the first two are final."""

    WAITING = "waiting"  # for its time, or for its next attempt
    HELD = "held"  # until the contact hours open
    SENT = "sent"
    SUPPRESSED = "suppressed"  # it would have come at a bad time, or was out of date
    UNDELIVERABLE = "undeliverable"  # no recipient, or refused for good
    FAILED = "failed"  # given up after days of attempts
