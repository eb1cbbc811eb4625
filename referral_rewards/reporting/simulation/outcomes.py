"""Outcomes: what became of a referral in a replay, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import Recommendation
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.simulation.lives import Life


class Outcome(StrEnum):
    """Where a referral ends in a replay, in the order in which they are told."""

    APPROVED = "approved"
    FOR_A_PERSON = "for_a_person"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    WAITING = "waiting"

    @property
    def words(self) -> str:
        """The outcome for people."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with its reason or flags, and what the reward of each side comes to, minor units of ``currency``.

    ``costs`` is whether the run counts the reward as approved. What waits for a person has amounts and no costs.
    """

    outcome: Outcome
    reason: str | None = None
    flags: tuple[str, ...] = ()
    referrer_minor: int = 0
    referee_minor: int = 0
    currency: str = ""
    costs: bool = False

    @property
    def amount_minor(self) -> int:
        """Both sides together."""
        return self.referrer_minor + self.referee_minor

    @property
    def cost_minor(self) -> int:
        """What the run paid for it."""
        return self.amount_minor if self.costs else 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One referral, before and after."""

    referral: str
    before: Verdict
    after: Verdict

    @property
    def changed(self) -> bool:
        """Whether the other terms made a difference."""
        return self.before != self.after


def of_life(life: Life) -> Verdict:
    """The verdict on a referral that never came before an approver."""
    return Verdict(_CLOSED.get(life.status, Outcome.WAITING), reason=life.reason.value if life.reason else None)


def of_claim(claim: RewardClaim, currency: str, *, approve_flagged: bool) -> Verdict:
    """The verdict on a claim: what the rules recommend counts as decided, and what they flag waits for a person.

    ``approve_flagged`` approves that as well, except what the rules advise against.
    """
    if claim.denial is not None:
        return Verdict(Outcome.DENIED, reason=claim.denial.value)
    approved = claim.recommendation is Recommendation.APPROVE
    amounts = {side: sum(leg.amount_minor for leg in claim.legs if leg.role is side) for side in Side}
    return Verdict(
        Outcome.APPROVED if approved else Outcome.FOR_A_PERSON,
        flags=tuple(flag.value for flag in claim.flag_names),
        referrer_minor=amounts[Side.REFERRER],
        referee_minor=amounts[Side.REFEREE],
        currency=currency if claim.legs else "",
        costs=approved or (approve_flagged and claim.recommendation is Recommendation.REVIEW and bool(claim.legs)),
    )


_CLOSED: Final[Mapping[ReferralStatus, Outcome]] = {
    ReferralStatus.DENIED: Outcome.DENIED,
    ReferralStatus.EXPIRED: Outcome.EXPIRED,
    ReferralStatus.WITHDRAWN: Outcome.WITHDRAWN,
}
