"""Outcomes of referrals in a replay, and their cost."""

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
    """The outcome of a referral in a replay, in display order."""

    APPROVED = "approved"
    FOR_A_PERSON = "for_a_person"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    WAITING = "waiting"

    @property
    def words(self) -> str:
        """The outcome in words."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with its reason or flags, and the reward of each side in minor units of ``currency``.

    ``costs``: the run counts the reward as approved. A reward that waits for a person has amounts but no cost.
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
        """The total of both sides."""
        return self.referrer_minor + self.referee_minor

    @property
    def cost_minor(self) -> int:
        """The cost in this run: the total if approved, else zero."""
        return self.amount_minor if self.costs else 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One referral, before and after."""

    referral: str
    before: Verdict
    after: Verdict

    @property
    def changed(self) -> bool:
        """Whether the new terms change the verdict."""
        return self.before != self.after


def of_life(life: Life) -> Verdict:
    """Return the verdict on a referral that never reached review."""
    return Verdict(_CLOSED.get(life.status, Outcome.WAITING), reason=life.reason.value if life.reason else None)


def of_claim(claim: RewardClaim, currency: str, *, approve_flagged: bool) -> Verdict:
    """Return the verdict on a claim: a recommendation counts as decided, and a flagged claim waits for a person.

    ``approve_flagged`` approves flagged claims too, unless the rules advise to deny them.
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
