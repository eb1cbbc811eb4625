"""Whether an approval of a claim can have an effect."""

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.adjusting import is_adjustable
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.referrals.lifecycle import Side


def check_approvable(claim: RewardClaim, rewarded_by: str | None = None) -> None:
    """Return if an approval of the claim can have an effect; else raise.

    ``rewarded_by`` is another referral whose reward for the same order stands.

    Raises:
        DecisionRefused: `order_rewarded`, `dispute_open`, `nothing_to_pay` or `no_beneficiary`, with what can be done
            instead.
    """
    if rewarded_by is not None:
        why = f"referral {rewarded_by} was rewarded for the same order; deny it, or take that reward back first"
        raise DecisionRefused(claim.referral, "order_rewarded", why)
    if claim.frozen:
        why = "a payment dispute about its order is open; it can be approved once the dispute is won"
        raise DecisionRefused(claim.referral, "dispute_open", why)
    if not claim.legs:
        can = "adjust it to set an amount, or deny it" if is_adjustable(claim) else "deny it, or wait for new facts"
        raise DecisionRefused(claim.referral, "nothing_to_pay", f"there is no reward to pay; {can}")
    if nobody := [leg.role for leg in claim.legs if leg.beneficiary is None]:
        can = (
            "reassign the claim to name one, or" if nobody == [Side.REFERRER] else "wait for a fact that names one, or"
        )
        why = f"nobody is known to whom the {listed(nobody)}'s reward belongs; {can} adjust it to leave that reward out"
        raise DecisionRefused(claim.referral, "no_beneficiary", why)
