"""How much a decision on a case may still recover, and how much of that comes from its offsets. Pure.

An offset waits for a later payout of the payee, and the payee may never earn again. So what it has not kept can be
taken in another way: it comes out of the offset, and the offset waits for that much less.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.books.deductions import OpenOffset
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackKind

#: An offset of which nothing was kept for so many days stands before a person.
OFFSET_WAITS_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Room:
    """What a case can still recover, in minor units.

    ``untaken_minor`` is the part of the reward that no clawback takes; ``waiting_minor`` what the case's offsets have
    neither kept nor are keeping from a payout under way. ``overdue``: one of them has waited too long.
    ``reversible_minor`` is what the rail can still take back of the payment, in steps of ``step_minor``.
    """

    state: CaseState
    untaken_minor: int
    waiting_minor: int
    overdue: bool
    reversible_minor: int
    step_minor: int

    @property
    def amounts(self) -> Mapping[ClawbackKind, int]:
        """Return the ways to recover something, each with the largest amount for it."""
        if self.state is CaseState.FROZEN:
            return {}
        untaken_minor = fresh_minor(self.state, self.untaken_minor)
        either_minor = untaken_minor + self.waiting_minor
        in_steps_minor = min(either_minor, self.reversible_minor) // self.step_minor * self.step_minor
        # What waited in vain may go on waiting: that is decided anew, and so it is before nobody for a while.
        again_minor = self.waiting_minor if self.overdue else 0
        most = {
            ClawbackKind.REVERSE: in_steps_minor,
            ClawbackKind.OFFSET: untaken_minor or again_minor,
            ClawbackKind.WRITE_OFF: either_minor,
        }
        return {kind: amount_minor for kind, amount_minor in most.items() if amount_minor > 0}


def fresh_minor(state: CaseState, untaken_minor: int) -> int:
    """Return what of the part that no clawback takes can be recovered for a case in this state.

    Once it is closed, people have decided on all of it; only its offsets can be decided anew.
    """
    return max(untaken_minor, 0) if state is CaseState.OPEN else 0


def out_of_offsets_minor(amount_minor: int, state: CaseState, untaken_minor: int) -> int:
    """Return how much of a recovery comes out of the case's offsets: what exceeds the part that nobody takes."""
    return max(amount_minor - fresh_minor(state, untaken_minor), 0)


def spread(amount_minor: int, offsets: Iterable[OpenOffset]) -> tuple[OpenOffset, ...]:
    """Return how much of an amount comes out of each offset, the oldest first.

    Raises:
        ValueError: if the offsets have less open than that.
    """
    left_minor, taken = amount_minor, []
    for offset in offsets:
        if part_minor := min(offset.open_minor, left_minor):
            taken.append(OpenOffset(offset.id, part_minor))
            left_minor -= part_minor
    if left_minor:
        raise ValueError(f"{left_minor} more than the offsets have open")
    return tuple(taken)
