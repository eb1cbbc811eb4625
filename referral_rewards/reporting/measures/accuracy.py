"""The accuracy of a program's paid rewards (SPEC §8), as reports show it."""

from collections.abc import Collection
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit import keeping
from referral_rewards.audit.accuracy import Accuracy, Failing
from referral_rewards.audit.evidence import Span
from referral_rewards.audit.loading import Means
from referral_rewards.reporting.shape import Shape


class FailingReward(Shape):
    """A paid reward that does not hold all six parts: which do not, and why, in sentences."""

    referral: str
    role: str
    parts: tuple[str, ...]
    why: tuple[str, ...]

    @classmethod
    def of(cls, its: Failing) -> Self:
        return cls(
            referral=its.referral,
            role=its.role,
            parts=tuple(part.value for part in its.parts),
            why=tuple(finding.what for finding in its.findings if finding.part in its.parts),
        )


class EligibilityAccuracy(Shape):
    """The share of paid rewards that hold source attribution, qualifying event, program terms, fraud/conflict check,
    payout amount and approval record, each by recomputation; null where nothing was paid.

    A reward counts on the day when it settled. ``by_decision`` of the accurate ones hold only because people decided a
    failed check or another amount by name. Of ``marks_removed`` of all a person was erased, and their marks are gone by
    retention: they are examined by what is left. ``failing`` lists at most 1,000. ``behind`` is how many referrals
    count as they stood before, because they were paid so lately.
    """

    paid: int
    accurate: int
    share: float | None
    by_decision: int
    marks_removed: int
    behind: int
    failing: tuple[FailingReward, ...]

    @classmethod
    def of(cls, its: Accuracy, behind: int = 0) -> Self:
        return cls(
            paid=its.paid,
            accurate=its.accurate,
            share=its.share,
            by_decision=its.by_decision,
            marks_removed=its.marks_removed,
            behind=behind,
            failing=tuple(FailingReward.of(each) for each in its.failing),
        )


async def accuracy(
    connection: AsyncConnection, span: Span, means: Means, referrers: Collection[str] | None = None
) -> EligibilityAccuracy:
    """Return the accuracy over a span, of these referrers alone if they are named, by what is kept of each reward."""
    kept = await keeping.read(connection, span, means, referrers)
    return EligibilityAccuracy.of(kept.accuracy, kept.behind)
