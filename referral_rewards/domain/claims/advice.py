"""Why a claim is recommended as it is, in one sentence for the person who decides on it."""

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import CheckCode, Flag, Result
from referral_rewards.domain.labels import label, labels, listed


def advice(claim: RewardClaim) -> str:
    """Return the sentence: what is flagged, which checks failed or could not run, or that there is no objection."""
    if claim.denial is not None:
        return f"The rules deny this claim: {label('reason', claim.denial)}."
    if unpayable := _unpayable(claim):
        return unpayable
    flags = labels("flag", claim.flag_names)
    failed = _named(claim, Result.FAILED)
    unrun = _named(claim, Result.COULD_NOT_RUN)
    said = [f"Flags: {listed(flags)}."] if flags else []
    if failed:
        said.append(f"Failed checks: {listed(failed)}.")
    if unrun:
        said.append(f"Checks that could not run: {listed(unrun)}.")
    return " ".join(said) or "All checks passed and nothing is flagged."


def _unpayable(claim: RewardClaim) -> str | None:
    """What to do where nothing but the payment method is missing: then that is all there is to say."""
    raised = {(each.flag, each.about) for each in claim.flags}
    others = [*_named(claim, Result.FAILED), *_named(claim, Result.COULD_NOT_RUN)]
    only = {(Flag.CHECK_COULD_NOT_RUN, CheckCode.PAYEE_KNOWN)}
    if raised != only or others != labels("check", [CheckCode.PAYEE_KNOWN]):
        return None
    if any(leg.beneficiary is None for leg in claim.legs):
        return None
    return "The payee has not added a payment method yet. Ask them for one: the claim is judged again when it arrives."


def _named(claim: RewardClaim, result: Result) -> list[str]:
    # A missing tax form only holds back its leg after approval: it is no objection to the claim.
    return [
        label("check", check.code)
        for check in claim.checks
        if check.result is result and check.code is not CheckCode.TAX_CLEARED
    ]
