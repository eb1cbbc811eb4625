"""Where a referral stands: its course through the four periods, as `periods.py` finds it, and its verdict in brief."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.lifecycle import CLOSED, PAID, Reason, ReferralStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The status of a referral by time alone, and how long to wait.

    ``deadline`` is the end of the current period, without the arrival allowance. At it the referral moves to
    ``next_status`` unless something happens first; None if there is nothing to wait for. ``wake_at`` is when the
    verdict can next change without a new fact. ``conversion`` is the conversion `q` of a referral that is not closed;
    ``closes_at`` is when a closed one closed. ``untimely`` are the claims that came too late to change anything.
    """

    status: ReferralStatus
    reason: Reason | None = None
    deadline: datetime | None = None
    wake_at: datetime | None = None
    next_status: ReferralStatus | None = None
    next_reason: Reason | None = None
    began_at: datetime
    claimed_at: datetime | None = None
    invite_ends: datetime | None = None
    claim_by: datetime | None = None
    offer_ends: datetime | None = None
    return_ends: datetime | None = None
    closes_at: datetime | None = None
    conversion: Conversion | None = None
    untimely: tuple[Fact, ...] = ()

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED

    def closed(self, status: ReferralStatus, reason: Reason | None, closes_at: datetime) -> "Course":
        """Return this course, closed at that instant: there is nothing left to wait for."""
        return replace(
            self,
            status=status,
            reason=reason,
            closes_at=closes_at,
            deadline=None,
            wake_at=None,
            next_status=None,
            next_reason=None,
            conversion=None,
        )

    def past_deadline(self) -> "Course":
        """Return this course after its deadline, if nothing happened before it."""
        if self.deadline is None or self.next_status is None:
            return self
        if self.next_status in CLOSED:
            return self.closed(self.next_status, self.next_reason, self.deadline)
        return replace(self, status=self.next_status, deadline=None, wake_at=None, next_status=None)


class Standing(BaseModel):
    """A verdict in brief, without personal data: the workflow's history contains it.

    ``deadline`` is the end of the current period, for people. ``wake_at`` is when the verdict can next change without a
    new fact, arrival allowance included. A ``closed`` referral waits for nothing; only a decision `reopen` changes it.
    """

    model_config = ConfigDict(frozen=True)

    status: ReferralStatus
    reason: Reason | None = None
    deadline: datetime | None = None
    wake_at: datetime | None = None
    facts_version: int = 0
    closed: bool = False
    program: str = ""
    routes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    reward_minor: int | None = None
    currency: str | None = None


class Step(StrEnum):
    """What the rest of a judgement is."""

    AFTER_PAYMENT = "after_payment"  # money was sent: new facts stop what is unsent, or open clawback cases
    BY_THE_PERIODS = "by_the_periods"  # the four periods decide alone
    ASSEMBLE = "assemble"  # its claim is missing, or was assembled before the newest facts
    ASSEMBLE_ANEW = "assemble_anew"  # likewise, because a fact that was known took effect since
    BY_DECISION = "by_decision"  # its claim is up to date: the approvers decide


def next_step(course: Course, status: ReferralStatus | None, *, claim_current: bool, took_effect: bool) -> Step:
    """Return how the judgement of a referral that has begun and is not closed goes on.

    ``claim_current`` is whether its claim was assembled on all facts that we received; ``took_effect`` whether one of
    them has taken effect since it was last judged.
    """
    if status in PAID:
        return Step.AFTER_PAYMENT
    if course.status is not ReferralStatus.IN_REVIEW:
        return Step.BY_THE_PERIODS
    if not claim_current:
        return Step.ASSEMBLE
    return Step.ASSEMBLE_ANEW if took_effect else Step.BY_DECISION
