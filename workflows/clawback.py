"""The life of one reversal."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

from activities.messages import ClawbackRequest, PayoutProgress
from workflows.moving import Moving, taken
from workflows.turns import UNTIL_IT_WORKS, Turn

with workflow.unsafe.imports_passed_through():
    from activities.clawbacks import Clawbacks
    from referral_rewards.workflow_ids import clawback_workflow_id

_REVERSE: Final = Turn(
    Clawbacks.reverse_clawback,
    summary="Verify the decision, then reverse",
    patience=timedelta(seconds=30),
    retries=UNTIL_IT_WORKS,
)


@workflow.defn(name="Clawback", versioning_behavior=VersioningBehavior.PINNED)
class Clawback(Moving):
    """Reverses one payment, in full or in part."""

    @workflow.run
    async def run(self, clawback: str) -> str:
        return await self._live(clawback, clawback_workflow_id)

    async def _step(self, name: str) -> PayoutProgress:
        return await taken(_REVERSE, ClawbackRequest(clawback=name, now=workflow.now()))
