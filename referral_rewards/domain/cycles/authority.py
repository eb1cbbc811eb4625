"""Decides from signed decisions alone whether a payout cycle is released; what its row says does not count.

Each decision on a cycle is made against its state, its list, and the number of decisions carried out before (its
turn). Read in order, each decision that matches the result of the previous one counts; the others were never carried
out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from referral_rewards.domain.claims.approval import Signoff
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct, subject_digest

_S = CycleState
_A = MoneyAct


@dataclass(frozen=True, slots=True)
class CycleAuthority:
    """The result of a cycle's first ``turn`` decisions: whether it is stopped, and who released it or last resumed it
    (None: it was not released). ``barred``: that person has been barred since, and another person must stop and resume
    it."""

    turn: int = 0
    stopped: bool = False
    released_by: str | None = None
    barred: bool = False

    @property
    def may_pay(self) -> bool:
        """Whether its list may be paid now."""
        return self.why_not is None

    @property
    def why_not(self) -> str | None:
        """Why its list may not be paid now, in a clause; None if it may."""
        if self.stopped:
            return "its cycle is stopped"
        if self.released_by is None:
            return "its cycle waits for finance to release it"
        if self.barred:
            return (
                f"{self.released_by}, who released its cycle, was barred since; another person must stop and resume it"
            )
        return None


def shown_digest(cycle: UUID, state: str, listed: str | None, turn: int) -> str:
    """Return the digest for a decision on a cycle; ``listed`` is the digest of its list, None while it is gathered."""
    return subject_digest({"cycle": cycle, "state": state, "list": listed, "turn": turn})


def takes(state: str) -> frozenset[MoneyAct]:
    """Return the decisions that a cycle in this state allows."""
    return _TAKES.get(CycleState(state), frozenset())


def authority(cycle: UUID, listed: str | None, made: Iterable[Signoff]) -> CycleAuthority:
    """Return the result of verified decisions on a cycle, given in the order they were made."""
    stands = CycleAuthority()
    for each in made:
        stands = _after(cycle, listed, stands, each)
    return stands


def applied(cycle: UUID, listed: str | None, made: Iterable[Signoff]) -> tuple[int, ...]:
    """Return which of these decisions count, by their numbers from 0; the others were never carried out."""
    stands, counted = CycleAuthority(), []
    for number, each in enumerate(made):
        before, stands = stands, _after(cycle, listed, stands, each)
        if stands.turn > before.turn:
            counted.append(number)
    return tuple(counted)


def _after(cycle: UUID, listed: str | None, stands: CycleAuthority, made: Signoff) -> CycleAuthority:
    """Return the result of one more decision."""
    if not (isinstance(made.kind, MoneyAct) and made.roles & ROLES[made.kind]):
        return stands
    if made.digest not in _fitting(cycle, listed, stands, made.kind):
        return stands
    return CycleAuthority(
        turn=stands.turn + 1,
        stopped=made.kind is _A.STOP_CYCLE,
        released_by=_released_by(stands, made),
    )


def _released_by(stands: CycleAuthority, made: Signoff) -> str | None:
    """Return who is responsible for the release: a person who resumes a released cycle takes it over."""
    if made.kind is _A.RELEASE_CYCLE or (made.kind is _A.RESUME_CYCLE and stands.released_by is not None):
        return made.user
    return stands.released_by


def _fitting(cycle: UUID, listed: str | None, stands: CycleAuthority, act: MoneyAct) -> frozenset[str]:
    """Return the digests that a valid decision of this kind could have been made against."""
    if stands.stopped:
        states: dict[CycleState, tuple[str | None, ...]] = {_S.STOPPED: (None, listed)}
    elif stands.released_by is not None:
        states = {_S.RELEASED: (listed,)}
    else:
        states = {_S.COLLECTING: (None,), _S.FROZEN: (listed,)}
    return frozenset(
        shown_digest(cycle, state, each, stands.turn)
        for state, lists in states.items()
        if act in takes(state)
        for each in lists
    )


_TAKES: Final = {
    _S.COLLECTING: frozenset({_A.STOP_CYCLE}),
    _S.FROZEN: frozenset({_A.RELEASE_CYCLE, _A.STOP_CYCLE}),
    _S.RELEASED: frozenset({_A.STOP_CYCLE}),
    _S.STOPPED: frozenset({_A.RESUME_CYCLE}),
}
