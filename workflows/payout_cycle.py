"""The life of a payout cycle: it is gathered on its day, frozen, released by finance, and done when every payout is at
rest."""

from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

from activities.messages import CycleProgress, CycleRequest, CyclesDueRequest
from workflows.turns import UNTIL_IT_WORKS

with workflow.unsafe.imports_passed_through():
    from activities.cycles import Cycles
    from referral_rewards.domain.cycles.states import CycleState
    from referral_rewards.workflow_ids import BORROWED, is_another_cycles

_S = CycleState
_WAITS_FOR: Final = {
    _S.COLLECTING: "to be gathered",
    _S.FROZEN: "finance to release its list",
    _S.RELEASED: "its payouts to come to rest",
    _S.STOPPED: "somebody to resume it",
}


@workflow.defn(name="PayoutCycle", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class PayoutCycle:
    """One cycle of a program. It receives only its id: the register holds the list and the signed decisions.

    No timer ever releases a cycle, however long finance takes. The signal ``news`` only makes it read the register
    again.
    """

    def __init__(self) -> None:
        self.progress: CycleProgress | None = None
        self._news = False

    @workflow.run
    async def run(self, cycle: str) -> str:
        if is_another_cycles(workflow.info().workflow_id, cycle):
            return BORROWED
        while True:
            self._news = False
            self.progress = await self._advance(cycle)
            if self.progress.state == _S.DONE:
                return self.progress.state
            if not self.progress.more:
                await self._wait(self.progress)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(cycle)

    @workflow.signal
    def news(self, *subject: Any) -> None:
        """A decision on the cycle was recorded, or its last payout came to rest."""
        self._news = True

    @workflow.query
    def status(self) -> CycleProgress | None:
        return self.progress

    async def _advance(self, cycle: str) -> CycleProgress:
        return await workflow.execute_activity_method(
            Cycles.advance_cycle,
            CycleRequest(cycle=cycle, now=workflow.now()),
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=UNTIL_IT_WORKS,
            summary="Take the next step of the cycle",
        )

    async def _wait(self, progress: CycleProgress) -> None:
        waits_for = _WAITS_FOR[CycleState(progress.state)]
        workflow.set_current_details(f"**{progress.state}**: waits for {waits_for}")
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news, timeout=progress.again_after, timeout_summary=f"Waits for {waits_for}"
            )


@workflow.defn(name="PayoutCycleDue", versioning_behavior=VersioningBehavior.PINNED)
class PayoutCycleDue:
    """Opens a program's cycle. The program's schedule starts it on the day; the cycle then has its own workflow."""

    @workflow.run
    async def run(self, program: str) -> str | None:
        return await workflow.execute_activity_method(
            Cycles.open_due_cycle,
            CyclesDueRequest(program=program, now=workflow.now()),
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=UNTIL_IT_WORKS,
            summary="Open the payout cycle that is due",
        )
