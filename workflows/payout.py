"""The life of one payout."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

from activities.messages import PayoutProgress, PayoutRequest
from workflows.moving import Moving, taken
from workflows.turns import UNTIL_IT_WORKS, Turn

with workflow.unsafe.imports_passed_through():
    from activities.payouts import Payouts
    from referral_rewards.workflow_ids import payout_workflow_id

_PAY: Final = Turn(
    Payouts.send_payout,
    summary="Verify the decision, then pay",
    patience=timedelta(minutes=5),
    retries=UNTIL_IT_WORKS,
    heartbeat=timedelta(seconds=15),
)


@workflow.defn(name="Payout", versioning_behavior=VersioningBehavior.PINNED)
class Payout(Moving):
    """Carries out one payout."""

    @workflow.run
    async def run(self, payout: str) -> str:
        return await self._live(payout, payout_workflow_id)

    async def _step(self, name: str) -> PayoutProgress:
        return await taken(_PAY, PayoutRequest(payout=name, now=workflow.now()))
