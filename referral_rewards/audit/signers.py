"""Who signed the claim of a paid reward, by the decisions that were made when its payment was committed."""

from typing import Final

from referral_rewards.audit import ground
from referral_rewards.audit.evidence import Evidence, Made

#: Approving in spite of one of these is an override.
OVERRIDING: Final = frozenset({"fraud_suspected", "self_referral", "duplicate_claim"})
#: Who signs an override: both roles, two people.
OVERRIDE: Final = frozenset({"finance", "operations"})


def adjustment(evidence: Evidence) -> Made | None:
    """Return the latest adjustment of the reward by somebody, if the claim that was approved bears one."""
    if evidence.claim is None or "adjusted" not in evidence.claim.flags:
        return None
    made = ground.by_then(evidence.decisions, evidence)
    its = [each for each in made if each.kind == "adjust" and each.details.get("leg") == evidence.reward.role]
    return its[-1] if its else None


def on_its_digest(evidence: Evidence) -> list[Made]:
    """Return what was decided on exactly its claim, oldest first."""
    reward = evidence.reward
    made = ground.by_then(evidence.decisions, evidence)
    return [each for each in made if (each.subject, each.digest) == (reward.claim_id, reward.digest)]


def approvals(evidence: Evidence) -> list[Made]:
    """Return the approvals of exactly its claim, without those by whoever adjusted it."""
    made = ground.by_then(evidence.decisions, evidence)
    adjusters = {each.user for each in made if each.kind == "adjust" and adjustment(evidence) is not None}
    return [each for each in on_its_digest(evidence) if each.kind == "approve" and each.user not in adjusters]


def is_overridden(evidence: Evidence) -> bool:
    """Return whether those whom an override takes approved its claim."""
    return ground.enough(approvals(evidence), OVERRIDE, 2)
