"""Payout cycles: opening them on their day, and carrying each further, step by step."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.messages import CycleProgress, CycleRequest, CyclesDueRequest
from activities.moment import moment
from models.session import Database
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles import steps as cycle_steps
from referral_rewards.register.cycles.steps import CycleStep
from referral_rewards.register.decisions.signing import KeyRing

#: So many steps are taken by one activity, each committed by itself.
_STEPS_AT_ONCE: Final = 20
#: Whether all payouts are at rest is told by the last of them; this is for when two of them were the last.
_WHILE_PAYING: Final = timedelta(minutes=1)


class Cycles:
    """The activities behind a payout cycle. They move no money: that is each payout's own, which asks for the signed
    release of its cycle itself."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    @activity.defn
    async def open_due_cycle(self, request: CyclesDueRequest) -> str | None:
        """Opens the program's cycle that has fallen due; None if it was opened before, or there is none."""
        async with self._database.transaction() as connection:
            opened = await cycles.open_due(connection, request.program, moment(request.now))
        return None if opened is None else str(opened)

    @activity.defn
    async def advance_cycle(self, request: CycleRequest) -> CycleProgress:
        """Takes the next steps of a cycle. Killed anywhere and run again, it goes on after the last one committed."""
        try:
            cycle = UUID(request.cycle)
        except ValueError:
            return CycleProgress(state=CycleState.DONE)
        now = moment(request.now)
        step = CycleStep(CycleState.DONE, more=True)
        for _ in range(_STEPS_AT_ONCE):
            activity.heartbeat()
            async with self._database.transaction() as connection:
                taken = await cycle_steps.step(connection, cycle, now, self._keys)
            if taken is None:
                return CycleProgress(state=CycleState.DONE)
            step = taken
            if not step.more:
                break
        again_after = _WHILE_PAYING if step.state is CycleState.RELEASED and not step.more else None
        return CycleProgress(state=step.state, more=step.more, again_after=again_after)
