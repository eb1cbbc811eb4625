"""What an approver is told of a claim: why it is recommended as it is, and what changed since they saw it."""

from collections.abc import Iterator
from typing import NamedTuple

from referral_rewards.domain import money
from referral_rewards.domain.claims.adjustments import in_force
from referral_rewards.domain.claims.claim import Evidence, RewardClaim
from referral_rewards.domain.claims.findings import WAITED_FOR, CheckCode, Result
from referral_rewards.domain.claims.rewards import Leg, Side
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels


def advice(claim: RewardClaim) -> str:
    """Return what an approver is told: what is flagged, which checks failed or could not run, or that there is no
    objection; what is still needed to pay the reward; and which adjustments fell away."""
    return " ".join([_advice_on(claim), *_fallen(claim)])


def _fallen(claim: RewardClaim) -> Iterator[str]:
    """Yield which adjustments no longer hold."""
    for each in in_force(claim.fallen).values():
        what = f"to {money.display(each.amount_minor, claim.currency)}" if each.amount_minor else "to nothing"
        yield f"{each.by} had adjusted the {each.role}'s reward {what}: this fell away, for the calculation changed."


def _advice_on(claim: RewardClaim) -> str:
    if claim.denial is not None:
        return f"The rules deny this claim: {label('reason', claim.denial)}."
    flags = labels("flag", claim.flag_names)
    failed = _named(claim, Result.FAILED)
    unrun = _named(claim, Result.COULD_NOT_RUN)
    said = [f"Flags: {listed(flags)}."] if flags else []
    if failed:
        said.append(f"Failed checks: {listed(failed)}.")
    if unrun:
        said.append(f"Checks that could not run: {listed(unrun)}.")
    if (lacking := _lacking(claim)) is not None:
        said = [*(said or ["Nothing is flagged."]), lacking, "Ask for it: nothing is paid there before."]
    return " ".join(said) or "All checks passed and nothing is flagged."


def _lacking(claim: RewardClaim) -> str | None:
    """Return what is not known yet of a payee and their rail needs, in sentences."""
    found = (check for check in claim.checks if check.code is CheckCode.PAYEE_KNOWN)
    return next((check.sentence for check in found if check.result is Result.FAILED), None)


def _named(claim: RewardClaim, result: Result) -> list[str]:
    # What a leg waits for after approval is no objection to the claim; a check of it that could not run is.
    return [
        label("check", check.code)
        for check in claim.checks
        if check.result is result and not (result is Result.FAILED and check.code in WAITED_FOR)
    ]


class Change(NamedTuple):
    """One difference in words; ``before`` is None if it was added, ``after`` is None if it was removed."""

    what: str
    before: str | None
    after: str | None


def changes(before: RewardClaim, after: RewardClaim) -> list[Change]:
    """Return every difference that changes the digest, amounts first; empty if the claims are equal."""
    found = [*_legs(before, after), *_advice(before, after), *_flags(before, after), *_checks(before, after)]
    found += _evidence(before, after)
    if before.version != after.version:
        found.append(Change("version of the terms", str(before.version), str(after.version)))
    if not found and before.core_digest == after.core_digest and before.digest != after.digest:
        found.append(Change("competing claims", "as you saw them", "added, removed or changed"))
    if not found and before.digest != after.digest:
        found.append(Change("facts behind the claim", before.digest[:12], after.digest[:12]))
    return found


def _legs(before: RewardClaim, after: RewardClaim) -> Iterator[Change]:
    for role in Side:
        was, now = _leg(before, role), _leg(after, role)
        if was != now:
            said, says = _paid(was), _paid(now)
            if said == says:
                said, says = "to the earlier destination", "to another destination"
            yield Change(f"reward to the {role}", said, says)


def _leg(claim: RewardClaim, role: Side) -> Leg | None:
    return next((leg for leg in claim.legs if leg.role is role), None)


def _paid(leg: Leg | None) -> str | None:
    if leg is None:
        return None
    amount = money.display(leg.amount_minor, leg.currency)
    return f"{amount} {label('kind', leg.kind)} to {leg.beneficiary}, {label('rail', leg.rail)}"


def _advice(before: RewardClaim, after: RewardClaim) -> Iterator[Change]:
    if before.recommendation is not after.recommendation:
        yield Change(
            "recommendation",
            label("recommendation", before.recommendation),
            label("recommendation", after.recommendation),
        )
    if before.requirement != after.requirement:
        yield Change("approval by", _needed(before), _needed(after))


def _needed(claim: RewardClaim) -> str:
    people = claim.requirement.people
    roles = listed(labels("role", claim.requirement.routes))
    return f"{roles} ({people} {'person' if people == 1 else 'people'})"


def _flags(before: RewardClaim, after: RewardClaim) -> Iterator[Change]:
    had, has = ({(each.flag, each.about): each.sentence for each in claim.flags} for claim in (before, after))
    for flag, about in (*had, *(each for each in has if each not in had)):
        was, now = had.get((flag, about)), has.get((flag, about))
        if (was is None) != (now is None):
            yield Change(f"flag: {label('flag', flag)}", was, now)


def _checks(before: RewardClaim, after: RewardClaim) -> Iterator[Change]:
    was, now = before.results, after.results
    for code in CheckCode:
        if was.get(code) is not now.get(code):
            yield Change(f"check: {label('check', code)}", _result(before, code), _result(after, code))


def _result(claim: RewardClaim, code: CheckCode) -> str | None:
    found = next((check for check in claim.checks if check.code is code), None)
    return f"{label('result', found.result)}: {found.sentence}" if found else None


def _evidence(before: RewardClaim, after: RewardClaim) -> Iterator[Change]:
    had, has = ({each.content_hash: each for each in claim.evidence} for claim in (before, after))
    for each in [each for each in had if each not in has]:
        yield Change("evidence", _cited(had[each]), None)
    for each in [each for each in has if each not in had]:
        yield Change("evidence", None, _cited(has[each]))


def _cited(evidence: Evidence) -> str:
    return f"{evidence.what} ({evidence.source}, {evidence.reference})"
