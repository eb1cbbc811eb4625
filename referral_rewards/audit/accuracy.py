"""``referral_reward_eligibility_accuracy``: the share of paid rewards that hold all six parts (SPEC §8)."""

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass

from disposable_email_domains import blocklist
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.evidence import Span
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.loading import Means, evidence
from referral_rewards.audit.parts import Examined, examine


@dataclass(frozen=True, slots=True)
class Failing:
    """A paid reward that does not hold: which parts, and why."""

    referral: str
    role: str
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many rewards were paid, and how many of them hold all parts: ``by_decision`` of these only because people
    decided a part by name. ``failing`` are the others. Of ``marks_removed`` of all the marks of a person are gone by
    retention: they are examined by what is left of them, which links what it linked.
    """

    paid: int
    accurate: int
    by_decision: int
    failing: tuple[Failing, ...]
    marks_removed: int = 0

    @property
    def share(self) -> float | None:
        """The share that holds; None where nothing was paid."""
        return self.accurate / self.paid if self.paid else None


async def examined(
    connection: AsyncConnection, span: Span, means: Means, referrals: Collection[str] | None = None
) -> AsyncIterator[Examined]:
    """Yield what the examination of each paid reward of a span comes to; of some ``referrals`` alone if they are named.
    The connection's transaction must see one moment."""
    async for each in evidence(connection, span, means, referrals):
        yield examine(each, frozenset(blocklist))


def accuracy(found: Iterable[Examined]) -> Accuracy:
    """Return the accuracy of these paid rewards."""
    its = list(found)
    holding = [each for each in its if each.accurate]
    return Accuracy(
        paid=len(its),
        accurate=len(holding),
        by_decision=sum(each.held_by_decision for each in holding),
        failing=tuple(failing(each) for each in its if not each.accurate),
        marks_removed=sum(each.marks_removed for each in its),
    )


def failing(found: Examined) -> Failing:
    """Return a reward that does not hold."""
    return Failing(found.reward.referral, found.reward.role, found.failing, found.findings)
