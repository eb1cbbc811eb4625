"""A reconciliation: list what the rail paid, compare it with what we hold, put on record what does not agree."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.messages import ReconciliationRequest

with workflow.unsafe.imports_passed_through():
    from activities.reconciliations import Reconciliations
    from referral_rewards.workflow_ids import is_anothers, reconciliation_workflow_id

_UNTIL_IT_WORKS: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
#: Somebody waits for the outcome: a rail that is silent for minutes is told of.
_A_FEW_TIMES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1), maximum_attempts=6
)
#: Every page and every batch gives a sign of life.
_SIGN_OF_LIFE: Final = timedelta(minutes=2)
_WHOLE: Final = timedelta(hours=12)


@workflow.defn(name="Reconciliation")
class Reconciliation:
    """It is told nothing but its id and returns how many differences there are; what they are, the register holds."""

    @workflow.run
    async def run(self, reconciliation: str) -> int | None:
        if is_anothers(workflow.info().workflow_id, reconciliation_workflow_id(reconciliation)):
            return None
        try:
            queue = await workflow.execute_local_activity_method(
                Reconciliations.route_reconciliation,
                reconciliation,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=_A_FEW_TIMES,
                summary="By which queue its rail is called",
            )
            await workflow.execute_activity_method(
                Reconciliations.list_payments,
                ReconciliationRequest(reconciliation=reconciliation, now=workflow.now()),
                task_queue=queue,
                start_to_close_timeout=_WHOLE,
                heartbeat_timeout=_SIGN_OF_LIFE,
                retry_policy=_A_FEW_TIMES,
                summary="List what the rail paid",
            )
            return await workflow.execute_activity_method(
                Reconciliations.compare_payments,
                ReconciliationRequest(reconciliation=reconciliation, now=workflow.now()),
                task_queue=queue,
                start_to_close_timeout=_WHOLE,
                heartbeat_timeout=_SIGN_OF_LIFE,
                retry_policy=_A_FEW_TIMES,
                summary="Compare it with ours",
            )
        except ActivityError as error:
            await workflow.execute_activity_method(
                Reconciliations.abandon_reconciliation,
                args=[
                    ReconciliationRequest(reconciliation=reconciliation, now=workflow.now()),
                    str(error.cause or error),
                ],
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=_UNTIL_IT_WORKS,
                summary="Say why it came to nothing",
            )
            return None
