"""The course of a referral through its four periods: what `periods.py` answers."""

from dataclasses import dataclass, replace
from datetime import datetime

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.lifecycle import CLOSED, Reason, ReferralStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where a referral stands by time alone, and until when to wait.

    ``deadline`` is the end of the period that runs (arrival allowance not included), at which the referral goes on to
    ``next_status`` unless something happens before; None when nothing is waited for. ``wake_at`` is when the verdict
    can next change without news. ``conversion`` is *the* conversion `q` of a referral that is not closed, ``closes_at``
    the instant at which a closed one did. ``untimely`` are claims that came too late to change anything,
    and appeals against its closing.
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
        """This course, closed at that instant: nothing is waited for any more."""
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
        """This course once its deadline has come and nothing happened before."""
        if self.deadline is None or self.next_status is None:
            return self
        if self.next_status in CLOSED:
            return self.closed(self.next_status, self.next_reason, self.deadline)
        return replace(self, status=self.next_status, deadline=None, wake_at=None, next_status=None)
