"""Why a claim is recommended as it is, in one sentence for the person who decides on it."""

from collections.abc import Sequence

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import CheckCode, Result


def advice(claim: RewardClaim) -> str:
    """Return the sentence: what is flagged, which checks failed or could not run, or that there is no objection."""
    if claim.denial is not None:
        return f"The rules deny it: {claim.denial.replace('_', ' ')}."
    flags = [flag.replace("_", " ") for flag in claim.flag_names]
    failed = _named(claim, Result.FAILED)
    unrun = _named(claim, Result.COULD_NOT_RUN)
    said = [f"flagged: {_listed(flags)}"] if flags else []
    if failed:
        said.append(f"failed: {_listed(failed)}")
    if unrun:
        said.append(f"could not run: {_listed(unrun)}")
    if not said:
        return "Every check passed and nothing is flagged."
    whole = "; ".join(said)
    return f"{whole[0].upper()}{whole[1:]}."


def _named(claim: RewardClaim, result: Result) -> list[str]:
    # A missing tax form only holds back its leg after approval: it is no objection to the claim.
    return [
        check.code.replace("_", " ")
        for check in claim.checks
        if check.result is result and check.code is not CheckCode.TAX_CLEARED
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
