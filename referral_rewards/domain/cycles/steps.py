"""How a payout cycle goes on: which step comes next, and how each step changes the cycle.

A cycle gathers payees batch by batch and freezes its list. Once finance released it, its payouts are approved batch by
batch, and it is done when all are at rest. A signed decision stops it at any time: then the payouts that are approved
and unsent are taken back, batch by batch, until another decision resumes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.cycles.cycle import Cycle, CycleFile
from referral_rewards.domain.cycles.states import CycleState

_S = CycleState
#: Sorts before the id of every payout.
BEGINNING: Final = "00000000-0000-0000-0000-000000000000"
#: The states in which a decision can stop it.
_RUNS: Final = frozenset({_S.COLLECTING, _S.FROZEN, _S.RELEASED})


class Step(StrEnum):
    """What a cycle does next."""

    GATHER = "gather"  # the next payees; once there are no more, freeze the list
    WAIT = "wait"  # for finance
    RELEASE = "release"  # as finance decided
    APPROVE = "approve"  # the next payouts, which are sent then
    END = "end"  # once all payouts are at rest
    STOP = "stop"  # as was decided
    TAKE_BACK = "take_back"  # the next payouts that are approved and unsent
    RESUME = "resume"  # as was decided
    NOTHING = "nothing"  # it is done


@dataclass(frozen=True, slots=True)
class Change:
    """A cycle as it is after a step. ``more``: the next step can be taken at once. ``applied`` are the decisions that
    the step carried out."""

    cycle: Cycle
    more: bool
    applied: tuple[UUID, ...] = ()


def next_step(file: CycleFile) -> Step:
    """Return the next step of a cycle."""
    cycle, decided = file.cycle, file.decided
    if cycle.state in _RUNS and decided.stopped:
        return Step.STOP
    match cycle.state:
        case _S.COLLECTING:
            return Step.GATHER
        case _S.FROZEN:
            return Step.WAIT if decided.released_by is None else Step.RELEASE
        case _S.RELEASED:
            return Step.END if cycle.cursor is None else Step.APPROVE
        case _S.STOPPED if cycle.cursor is not None and cycle.frozen_at is not None:
            return Step.TAKE_BACK
        case _S.STOPPED:
            return Step.WAIT if decided.stopped else Step.RESUME
        case _S.DONE:
            return Step.NOTHING


def waited(cycle: Cycle) -> Change:
    """Return the cycle as it was: nothing can be done now."""
    return Change(cycle, more=False)


def gathered(cycle: Cycle, last: str, carried: Sequence[Mapping[str, Any]]) -> Change:
    """Return the cycle once a batch of payees was gathered: the ``last`` payee, and all legs carried forward so far."""
    return Change(replace(cycle, cursor=last, summary={**cycle.summary, "carried": carried}), more=True)


def frozen(cycle: Cycle, digest: str, totals: Sequence[Mapping[str, Any]], now: datetime) -> Change:
    """Freeze the list: nothing is added to it any more. A cycle without payouts is done at once."""
    summary = {"totals": totals, "carried": cycle.summary.get("carried", [])}
    after = replace(cycle, cursor=None, digest=digest, summary=summary, frozen_at=now)
    if not totals:
        return Change(replace(after, state=_S.DONE, done_at=now), more=False)
    return Change(replace(after, state=_S.FROZEN), more=False)


def released(file: CycleFile, digest: str) -> Change:
    """Begin to pay a list that finance released, if it is unchanged since it was frozen: ``digest`` is its own now."""
    if digest != file.cycle.digest:
        refused = {**file.cycle.summary, "refused": "the list is not the one that was frozen"}
        return Change(replace(file.cycle, summary=refused), more=False)
    return _turned(file, _S.RELEASED)


def stopped(file: CycleFile) -> Change:
    """Stop the cycle."""
    return _turned(file, _S.STOPPED)


def resumed(file: CycleFile) -> Change:
    """Go on where the cycle was stopped."""
    if file.cycle.frozen_at is None:
        return _turned(file, _S.COLLECTING)
    return _turned(file, _S.FROZEN if file.decided.released_by is None else _S.RELEASED)


def went_through(cycle: Cycle, last: UUID | None) -> Change:
    """Return the cycle once a batch of payouts was approved or taken back: the ``last`` one, None after the end."""
    return Change(replace(cycle, cursor=None if last is None else str(last)), more=True)


def ended(cycle: Cycle, outcome: Sequence[Mapping[str, Any]], now: datetime) -> Change:
    """Return the cycle once all its payouts are at rest; ``outcome`` are their totals by state."""
    return Change(replace(cycle, state=_S.DONE, done_at=now, summary={**cycle.summary, "outcome": outcome}), more=False)


def _turned(file: CycleFile, to: CycleState) -> Change:
    """Carry out people's decision: change the state.

    Releasing and stopping go through the payouts from the start; gathering continues where it was.
    """
    cycle = file.cycle
    gathering = cycle.frozen_at is None
    cursor = cycle.cursor if gathering else BEGINNING if to in (_S.RELEASED, _S.STOPPED) else None
    after = replace(cycle, state=to, turn=file.decided.turn, cursor=cursor)
    return Change(after, more=True, applied=file.applied)
