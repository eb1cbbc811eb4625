"""The life of one payout: step by step until the rail gives a definite answer or a person must review it."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.messages import PayoutProgress, PayoutRequest

with workflow.unsafe.imports_passed_through():
    from activities.payouts import Payouts
    from referral_rewards.workflow_ids import BORROWED, is_anothers, payout_workflow_id

_UNTIL_IT_WORKS: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


@workflow.defn(name="Payout")
class Payout:
    """Carries out one payout. The activity verifies the signed decision before every step that moves money.

    The signal ``news`` is only a hint. If it is forged, lost or sent twice, the payout is at most checked once more and
    looked up at its provider.
    """

    def __init__(self) -> None:
        self.progress: PayoutProgress | None = None
        self._news = False

    @workflow.run
    async def run(self, payout: str) -> str:
        if is_anothers(workflow.info().workflow_id, payout_workflow_id(payout)):
            return BORROWED
        while True:
            self._news = False
            self.progress = await self._step(payout)
            if self.progress.again_after is None and not self._news:
                return self.progress.state
            if self.progress.again_after:
                await self._wait(self.progress, self.progress.again_after)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(payout)

    @workflow.signal
    def news(self, subject: str) -> None:
        """Something new may concern the payout: a decision, or a report from its provider."""
        self._news = True

    @workflow.query
    def status(self) -> PayoutProgress | None:
        return self.progress

    async def _step(self, payout: str) -> PayoutProgress:
        return await workflow.execute_activity_method(
            Payouts.send_payout,
            PayoutRequest(payout=payout, now=workflow.now()),
            task_queue=await self._queue_of_its_rail(payout),
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=15),
            retry_policy=_UNTIL_IT_WORKS,
            summary="Verify the decision, then pay",
        )

    async def _queue_of_its_rail(self, payout: str) -> str | None:
        """Return the task queue of the payout's provider. There the server enforces the provider's rate limit."""
        return await workflow.execute_local_activity_method(
            Payouts.route_payout,
            payout,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=_UNTIL_IT_WORKS,
            summary="Find the task queue of its rail",
        )

    async def _wait(self, progress: PayoutProgress, duration: timedelta) -> None:
        workflow.set_current_details(f"**{progress.state}**: {progress.why or 'tries again'}")
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._news, timeout=duration, timeout_summary=f"Until the next try ({progress.state})"
            )
