"""How a judgement goes on, from where a referral stands and what time alone says of it."""

from enum import StrEnum

from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import PAID, ReferralStatus


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
