"""The life of one payout."""

from datetime import timedelta

from temporalio import workflow

from activities.messages import PayoutProgress, PayoutRequest
from workflows.moving import UNTIL_IT_WORKS, Moving

with workflow.unsafe.imports_passed_through():
    from activities.payouts import Payouts
    from referral_rewards.workflow_ids import payout_workflow_id


@workflow.defn(name="Payout")
class Payout(Moving):
    """Carries out one payout."""

    @workflow.run
    async def run(self, payout: str) -> str:
        return await self._live(payout, payout_workflow_id)

    async def _step(self, name: str) -> PayoutProgress:
        return await workflow.execute_activity_method(
            Payouts.send_payout,
            PayoutRequest(payout=name, now=workflow.now()),
            task_queue=await self._queue_of_its_rail(name),
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=15),
            retry_policy=UNTIL_IT_WORKS,
            summary="Verify the decision, then pay",
        )

    async def _queue_of_its_rail(self, payout: str) -> str | None:
        """Return the task queue of the payout's provider. There the server enforces the provider's rate limit."""
        return await workflow.execute_local_activity_method(
            Payouts.route_payout,
            payout,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=UNTIL_IT_WORKS,
            summary="Find the task queue of its rail",
        )
