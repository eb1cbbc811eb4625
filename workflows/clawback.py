"""The life of one reversal."""

from datetime import timedelta

from temporalio import workflow

from activities.messages import ClawbackRequest, PayoutProgress
from workflows.moving import UNTIL_IT_WORKS, Moving

with workflow.unsafe.imports_passed_through():
    from activities.clawbacks import Clawbacks
    from referral_rewards.workflow_ids import clawback_workflow_id


@workflow.defn(name="Clawback")
class Clawback(Moving):
    """Reverses one payment, in full or in part."""

    @workflow.run
    async def run(self, clawback: str) -> str:
        return await self._live(clawback, clawback_workflow_id)

    async def _step(self, name: str) -> PayoutProgress:
        queue = await workflow.execute_local_activity_method(
            Clawbacks.route_clawback,
            name,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=UNTIL_IT_WORKS,
            summary="Find the task queue of its rail",
        )
        return await workflow.execute_activity_method(
            Clawbacks.reverse_clawback,
            ClawbackRequest(clawback=name, now=workflow.now()),
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=UNTIL_IT_WORKS,
            summary="Verify the decision, then reverse",
        )
