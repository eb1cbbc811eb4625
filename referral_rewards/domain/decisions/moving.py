"""Reassigning a claim and linking an order: to whom, to what, and when (SPEC §6)."""

from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.labels.sentences import listed

#: A claim with one of these flags can be moved to another referrer.
MOVABLE: Final = frozenset({Flag.ATTRIBUTION_CHANGED, Flag.DISPUTED_ATTRIBUTION, Flag.UNKNOWN_REFERRER})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A referrer to whom the claim could be moved; ``enrolled``: in its program, before its conversion."""

    referrer: str
    enrolled: bool
    marks: frozenset[str]


@dataclass(frozen=True, slots=True)
class OrderFound:
    """An order that could be linked; ``known``: it was recorded; ``heard``: the referral hears of it already;
    ``stores`` are those in which there is an order of that id.

    ``marks`` are those of whoever bought it.
    """

    order: OrderName
    known: bool
    heard: bool
    marks: frozenset[str]
    stores: tuple[str, ...] = ()


def check_movable(referral: str, claim: RewardClaim | None) -> None:
    """Return if the claim's attribution is open to a decision; else raise.

    Raises:
        DecisionRefused: `no_other_referrer`.
    """
    if claim is None or MOVABLE.isdisjoint(claim.flag_names):
        why = "its referrer is known and undisputed, and nobody requested to move it to another referrer"
        raise DecisionRefused(referral, "no_other_referrer", why)


def check_candidate(referral: str, to: Candidate, current: str | None) -> None:
    """Return if the claim may be moved to this referrer; else raise.

    Raises:
        DecisionRefused: `same_referrer` or `not_enrolled`.
    """
    if to.referrer == current:
        raise DecisionRefused(referral, "same_referrer", f"it belongs to {current} already")
    if not to.enrolled:
        why = f"{to.referrer} was not enrolled in the program before the conversion; name one who was"
        raise DecisionRefused(referral, "not_enrolled", why)


def check_order(referral: str, found: OrderFound) -> None:
    """Return if this order may be linked to the referral; else raise.

    Raises:
        DecisionRefused: `order_unknown`, `store_missing` or `order_heard`.
    """
    if found.order.store is None and found.stores:
        why = f"there is an order {found.order.id} in store {listed(found.stores)}; name the store as well"
        raise DecisionRefused(referral, "store_missing", why)
    if not found.known:
        why = f"no source has told us of order {found.order}; check its id, or wait until it is recorded"
        raise DecisionRefused(referral, "order_unknown", why)
    if found.heard:
        why = f"order {found.order} belongs to the referral already"
        raise DecisionRefused(referral, "order_heard", why)
