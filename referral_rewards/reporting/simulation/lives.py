"""A referral's life in a replay: how far the four periods take it under given terms, and when (SPEC §4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import CLOSED, Reason, ReferralStatus
from referral_rewards.domain.referrals.origin import Origin


@dataclass(frozen=True, slots=True)
class Life:
    """How far the periods alone take a referral: into review (``in_review``), to a closing, or still waiting.

    ``until`` is when it got there; for a waiting one, when the replay ends. The other members matter to referrals of
    the same referee or order.
    """

    status: ReferralStatus
    reason: Reason | None
    until: datetime
    began_at: datetime
    referrer: str | None
    claimed_at: datetime | None
    order: OrderName | None
    converted_at: datetime | None

    @property
    def is_closed(self) -> bool:
        """Whether the periods alone closed it."""
        return self.status in CLOSED

    @property
    def comes_before_approver(self) -> bool:
        """Whether it gets a reward claim."""
        return self.status is ReferralStatus.IN_REVIEW


def life(facts: Sequence[Fact], terms: Terms, now: datetime, begun: Origin) -> Life:
    """Return the life of a referral by these facts under these terms, up to ``now``.

    It goes from one wake-up to the next and ends at the first one that puts the referral into review. So a later fact,
    such as a refund within the watch, has no effect, as it could not have had then. The facts must not be waiting for
    stragglers, because a replay ignores when we received a fact.
    """
    moment = begun.began_at
    while True:
        stood = periods.course(facts, terms, moment, origin=begun)
        if stood.is_closed:
            return _life(stood, stood.closes_at or moment, begun)
        if stood.status is ReferralStatus.IN_REVIEW:
            return _life(stood, moment, begun)
        if stood.wake_at is None or stood.wake_at > now:
            return _life(stood, now, begun)
        moment = stood.wake_at


def _life(stood: Course, until: datetime, begun: Origin) -> Life:
    q = stood.conversion
    return Life(
        status=stood.status,
        reason=stood.reason,
        until=until,
        began_at=begun.began_at,
        referrer=begun.referrer,
        claimed_at=stood.claimed_at,
        order=q.name if q else None,
        converted_at=q.occurred_at if q else None,
    )
