"""Adjusting a claim: which leg may be set to which amount, and what the decisions on a claim come to (SPEC §6)."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from referral_rewards.domain import money
from referral_rewards.domain.claims.adjustments import Adjustment, following
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.claims.rewards import Promise
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.referrals.lifecycle import Side


def check_adjustment(claim: RewardClaim, leg: Side, amount_minor: int) -> None:
    """Return if the claim's leg may be set to this amount, or left out with an amount of zero; else raise.

    Raises:
        DecisionRefused: `not_promised`, `too_much`, `too_fine`, `unchanged` or `nothing_left`.
    """
    promise = next((each for each in claim.promises if each.role is leg), None)
    if promise is None:
        raise DecisionRefused(
            claim.referral, "not_promised", f"the terms promise no reward to the {leg}; {_can(claim)}"
        )
    if amount_minor:
        _check_amount(claim, promise, amount_minor)
    present = {each.role: each.amount_minor for each in claim.legs}
    if present.get(leg, 0) == amount_minor:
        shown = money.display(amount_minor, claim.currency) if amount_minor else "left out"
        raise DecisionRefused(claim.referral, "unchanged", f"the {leg}'s reward is {shown} already")
    if not any((present | {leg: amount_minor}).values()):
        why = "no reward would be left to approve; deny the claim instead"
        raise DecisionRefused(claim.referral, "nothing_left", why)


def check_adjustable(claim: RewardClaim) -> None:
    """Return if some leg of the claim can be set to another amount or left out; else raise.

    Raises:
        DecisionRefused: `nothing_to_adjust`.
    """
    if not is_adjustable(claim):
        why = "its terms, caps and budget leave no other amount for any reward; deny it, or wait until they leave room"
        raise DecisionRefused(claim.referral, "nothing_to_adjust", why)


def is_adjustable(claim: RewardClaim) -> bool:
    """Return whether `check_adjustment` admits anything for some leg."""
    return any(_admits_another(claim, promise) for promise in claim.promises)


def _admits_another(claim: RewardClaim, promise: Promise) -> bool:
    present = {each.role: each.amount_minor for each in claim.legs}
    own_minor = present.pop(promise.role, 0)
    if own_minor and any(present.values()):
        return True  # it can be left out
    step_minor = _step_minor(claim, promise)
    if promise.most_minor is None:
        return True
    highest_minor = promise.most_minor - promise.most_minor % step_minor
    return highest_minor > step_minor or (highest_minor == step_minor and own_minor != step_minor)


def adjustments_of(
    claim: RewardClaim | None, claim_id: UUID | None, made: Iterable[Decision], barred: Iterable[str] = ()
) -> tuple[Adjustment, ...]:
    """Return the adjustments by which a claim is judged, oldest first.

    ``claim`` is the present one, and says which adjustments held for it; ``made`` are the verified decisions on the
    referral, of which those on this claim count too. None counts by a user who was ``barred`` since.
    """
    if claim is None:
        return ()
    out = frozenset(barred)
    counting = [each for each in made if each.kind is DecisionKind.ADJUST and each.user not in out]
    on_it = [adjustment(each) for each in counting if each.claim_id == claim_id]
    return following(claim.adjustments, (each.id for each in counting), on_it)


def adjustment(decision: Decision) -> Adjustment:
    """Return what a signed decision to adjust says."""
    said: Mapping[str, Any] = decision.details or {}
    return Adjustment(
        decision=decision.id,
        role=Side(said["leg"]),
        amount_minor=said["amount_minor"],
        by=decision.user,
        reason=decision.reason,
        calculated=said["calculated"],
    )


def _step_minor(claim: RewardClaim, promise: Promise) -> int:
    """Return of what every amount of the leg is a multiple, in minor units."""
    if promise.rail not in rail_catalogue.CATALOGUE:
        return 1
    return rail_catalogue.step_minor(promise.rail, claim.currency)


def _check_amount(claim: RewardClaim, promise: Promise, amount_minor: int) -> None:
    step_minor = _step_minor(claim, promise)
    if promise.most_minor is not None and amount_minor > promise.most_minor:
        most = money.display(promise.most_minor - promise.most_minor % step_minor, claim.currency)
        why = f"the terms, caps and budget leave at most {most} for the {promise.role}"
        raise DecisionRefused(claim.referral, "too_much", why)
    if over := amount_minor % step_minor:
        least = money.display(step_minor, claim.currency)
        lower = money.display(amount_minor - over, claim.currency)
        why = f"the rail pays only multiples of {least}; the nearest lower amount is {lower}"
        raise DecisionRefused(claim.referral, "too_fine", why)


def _can(claim: RewardClaim) -> str:
    if not claim.promises:
        return "what they promise could not be calculated; look at the checks that could not run"
    return f"they promise one to the {listed(each.role for each in claim.promises)}"
