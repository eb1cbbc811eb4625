"""Adjustments: amounts of legs that a person set in place of those that were calculated (SPEC §6 Adjust)."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from referral_rewards.domain.referrals.lifecycle import Side


class Adjustment(BaseModel):
    """One signed adjustment of one leg; an amount of zero leaves the leg out.

    ``calculated`` is the core digest of the claim as it was calculated when the decision was made: of any other
    calculation the adjustment says nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: UUID
    role: Side
    amount_minor: NonNegativeInt
    by: str
    reason: str
    calculated: str


def in_force(adjustments: Iterable[Adjustment]) -> dict[Side, Adjustment]:
    """Return the adjustment that holds for each leg: the latest. They stand in the order of their signatures."""
    return {each.role: each for each in adjustments}


def left_out(adjustments: Iterable[Adjustment]) -> dict[Side, Adjustment]:
    """Return the adjustment of each leg that a person left out."""
    return {role: each for role, each in in_force(adjustments).items() if each.amount_minor == 0}


def adjusters(adjustments: Iterable[Adjustment]) -> tuple[str, ...]:
    """Return everybody who adjusted the claim, also where another adjusted the same leg later."""
    return tuple(sorted({each.by for each in adjustments}))


def following(
    known: Sequence[Adjustment], standing: Iterable[UUID], made: Iterable[Adjustment]
) -> tuple[Adjustment, ...]:
    """Return the adjustments to judge a claim by: those ``known`` in the present claim, and those ``made`` on it since.

    Of the known ones only those count whose decision is among ``standing``. So an adjustment that fell away once does
    not come back when the calculation does.
    """
    standing = frozenset(standing)
    return (*(each for each in known if each.decision in standing), *made)
