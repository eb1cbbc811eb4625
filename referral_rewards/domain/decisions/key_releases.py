"""Generations of a payout's key: a new one needs a recorded definitive refusal and a release.

A person releases it by a signed decision. If only funds were missing, it is released once they are there. That release
is not signed, so it counts only on rails where each earlier key can be looked up, and is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Final

from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct, subject_digest
from referral_rewards.domain.decisions.redirects import Redirect, destination_under, releases
from referral_rewards.domain.payouts.history import TOPPED_UP, Step
from referral_rewards.domain.payouts.moving import Earlier
from referral_rewards.domain.payouts.payout import Leg, Payout
from referral_rewards.domain.payouts.rail_catalogue import SAY_WHAT_THEY_HOLD
from referral_rewards.domain.payouts.states import REFUSALS, PaymentRequest, PayoutState, body_hash, provider_key


def payout_digest(payout: Payout, generation: int, state: PayoutState, frozen: str | None = None) -> str:
    """Return the digest that a decision on the payout signs, for its row in that generation and state.

    ``frozen`` is the hash of the body of that generation, if it is not the present one.
    """
    what: Mapping[str, object] = {
        "payout": payout.id,
        "generation": generation,
        "state": state,
        "rail": payout.rail,
        "amount_minor": payout.amount_minor,
        "currency": payout.currency,
        "body": frozen or payout.body_hash,
        # Sessions may read the same instant in different zones.
        "sent": payout.first_sent_at and payout.first_sent_at.astimezone(UTC).isoformat(),
    }
    return subject_digest(what)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a payout paid under earlier approvals: the ``legs`` that are not its own any more. ``since`` is the number
    of the newest approval of what it pays now."""

    legs: Sequence[Leg] = ()
    since: int = 0


def not_released(
    payout: Payout,
    steps: Sequence[Step],
    made: Sequence[Decision],
    redirects: Sequence[Redirect] = (),
    replaced: Replaced = Replaced(),
) -> str | None:
    """Return in one sentence why the generation in the row was not released; None if it was.

    Anyone who can write to the database can change a row, but not a signature. ``steps`` are its history, and ``made``
    the verified decisions on it. A generation that one of the ``redirects`` released has a body of its own. So has one
    from before an approval of another amount or beneficiary: it paid one of the legs that were ``replaced``, and was
    released before that approval.
    """
    retries = [each for each in made if each.kind is MoneyAct.RETRY_PAYOUT]
    retries = [each for each in retries if each.roles & ROLES[MoneyAct.RETRY_PAYOUT]]
    released = {each.digest for each in retries}
    before = {each.digest for each in retries if each.seq < replaced.since}
    for generation in range(1, payout.generation):
        its = of_generation(steps, generation)
        refused = {PayoutState(each.state) for each in its} & REFUSALS
        if not refused:
            return f"generation {generation} of its key was never refused"
        by_funds = any(each.act == TOPPED_UP for each in its) and waits_for_funds_alone(payout, its)
        body = {**payout.body, "destination": destination_under(payout, generation, redirects)}
        by_person = released & {payout_digest(payout, generation, state, body_hash(body)) for state in refused}
        by_person |= {each for leg in replaced.legs for each in before & _digests_of(payout, leg, generation, refused)}
        if not (by_funds or by_person or releases(payout, generation, redirects)):
            return _NOT_RELEASED.format(generation + 1)
    return None


_NOT_RELEASED: Final = (
    "nobody released generation {} of its key. Cancel it; if the reward is still owed, reopen the referral and approve "
    "it anew"
)


def _digests_of(payout: Payout, leg: Leg, generation: int, states: Collection[PayoutState]) -> set[str]:
    """Return what a decision on the payout signed in one of these states, if it paid this leg alone, whole."""
    asked = PaymentRequest(
        payout_id=payout.id,
        payee=leg.beneficiary,
        amount_minor=leg.amount_minor,
        currency=leg.currency,
        destination=leg.pays_to,
        program=leg.program,
        referral=leg.referral_id,
    )
    was = replace(payout, rail=leg.rail, amount_minor=leg.amount_minor, currency=leg.currency)
    return {payout_digest(was, generation, state, body_hash(asked.body())) for state in states}


def waits_for_funds_alone(payout: Payout, its: Sequence[Step]) -> bool:
    """Return whether funds alone release the next generation after the one with these steps.

    A payout that the rail had accepted before is sent again only by a person's decision.
    """
    states = {PayoutState(each.state) for each in its}
    refused_at_once = PayoutState.WAITING_FUNDS in states and PayoutState.ACCEPTED not in states
    return refused_at_once and payout.rail in SAY_WHAT_THEY_HOLD


def of_generation(steps: Sequence[Step], generation: int) -> list[Step]:
    """Return the steps under one generation of the key."""
    return [each for each in steps if each.generation == generation]


def earlier_keys(payout: Payout, steps: Sequence[Step]) -> tuple[Earlier, ...]:
    """Return the keys before the current one, oldest first."""
    named = {each.generation: each.reference for each in steps if each.reference}
    return tuple(
        Earlier(provider_key(payout.id, generation), named.get(generation))
        for generation in range(1, payout.generation)
    )
