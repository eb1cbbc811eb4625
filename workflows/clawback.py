"""The life of one reversal: step by step until the rail gives a definite answer or a person must review it."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.messages import ClawbackRequest, PayoutProgress

with workflow.unsafe.imports_passed_through():
    from activities.clawbacks import Clawbacks
    from referral_rewards.workflow_ids import BORROWED, clawback_workflow_id, is_anothers

_UNTIL_IT_WORKS: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


@workflow.defn(name="Clawback")
class Clawback:
    """Reverses one payment, in full or in part. The activity verifies the signed decision before every step that moves
    money."""

    def __init__(self) -> None:
        self.progress: PayoutProgress | None = None
        self._news = False

    @workflow.run
    async def run(self, clawback: str) -> str:
        if is_anothers(workflow.info().workflow_id, clawback_workflow_id(clawback)):
            return BORROWED
        while True:
            self._news = False
            self.progress = await self._step(clawback)
            if self.progress.again_after is None:
                return self.progress.state
            await self._wait(self.progress, self.progress.again_after)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(clawback)

    @workflow.signal
    def news(self, subject: str) -> None:
        """Something new may concern the reversal: take the next step at once instead of waiting."""
        self._news = True

    @workflow.query
    def status(self) -> PayoutProgress | None:
        return self.progress

    async def _step(self, clawback: str) -> PayoutProgress:
        queue = await workflow.execute_local_activity_method(
            Clawbacks.route_clawback,
            clawback,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=_UNTIL_IT_WORKS,
            summary="Find the task queue of its rail",
        )
        return await workflow.execute_activity_method(
            Clawbacks.reverse_clawback,
            ClawbackRequest(clawback=clawback, now=workflow.now()),
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_UNTIL_IT_WORKS,
            summary="Verify the decision, then reverse",
        )

    async def _wait(self, progress: PayoutProgress, duration: timedelta) -> None:
        workflow.set_current_details(f"**{progress.state}**: {progress.why or 'tries again'}")
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._news, timeout=duration, timeout_summary=f"Until the next try ({progress.state})"
            )
