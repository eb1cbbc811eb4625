"""Payout cycles: open each on its day, and advance it step by step."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.messages import CycleProgress, CycleRequest, CyclesDueRequest
from activities.moment import Pulse, moment
from models.session import Database
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles import steps as cycle_steps
from referral_rewards.register.cycles.steps import CycleStep
from referral_rewards.register.decisions.signing import KeyRing

#: How many steps one activity takes. Each is committed separately.
_STEPS_AT_ONCE: Final = 20
#: The last payouts to come to rest wake their cycle. This poll covers very many that finish at the same time.
_WHILE_PAYING: Final = timedelta(minutes=1)


class Cycles:
    """The activities of a payout cycle. They move no money: each payout does, after verifying the signed release of its
    cycle itself."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    @activity.defn
    async def open_due_cycle(self, request: CyclesDueRequest) -> str | None:
        """Open the program's due cycle and return its id; None if none is due or it was opened before."""
        opened = await self._database.write(cycles.open_due, request.program, moment(request.now))
        return None if opened is None else str(opened)

    @activity.defn
    async def advance_cycle(self, request: CycleRequest) -> CycleProgress:
        """Take the next steps of a cycle. If it is killed and run again, it continues after the last committed step."""
        try:
            cycle = UUID(request.cycle)
        except ValueError:
            return CycleProgress(state=CycleState.DONE)
        now = moment(request.now)
        step, pulse = CycleStep(CycleState.DONE, more=True), Pulse()
        for _ in range(_STEPS_AT_ONCE):
            taken = await self._database.write(cycle_steps.step, cycle, now, self._keys)
            if taken is None:
                return CycleProgress(state=CycleState.DONE)
            step = taken
            pulse.beat()
            if not step.more:
                break
        again_after = _WHILE_PAYING if step.state is CycleState.RELEASED and not step.more else None
        return CycleProgress(state=step.state, more=step.more, again_after=again_after)
