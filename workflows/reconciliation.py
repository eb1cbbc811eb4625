"""A reconciliation: list what the rail paid, compare it with our records, and record every difference."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError

from activities.messages import (
    Place,
    ReconciledSoFar,
    ReconciliationProgress,
    ReconciliationRequest,
)
from workflows.turns import UNTIL_IT_WORKS, Turn

with workflow.unsafe.imports_passed_through():
    from activities.reconciliations import Reconciliations
    from referral_rewards.workflow_ids import is_anothers, reconciliation_workflow_id

#: Time for one page or one look-up: the rail's answer and saving it.
_PART: Final = timedelta(minutes=2)
_ROUTE: Final = Turn(
    Reconciliations.route_reconciliation,
    summary="Find the task queue of its rail",
    patience=timedelta(seconds=30),
    retries=UNTIL_IT_WORKS,
)


@workflow.defn(name="Reconciliation", versioning_behavior=VersioningBehavior.PINNED)
class Reconciliation:
    """One reconciliation. It receives only its id and returns the number of differences, or None if it failed; the
    register holds the differences.

    Each request to a rail is an activity of its own on the task queue of the provider. There the server enforces the
    provider's rate limit, shared with everything else that calls it.
    """

    @workflow.run
    async def run(self, reconciliation: str, so_far: ReconciledSoFar | None = None) -> int | None:
        if is_anothers(workflow.info().workflow_id, reconciliation_workflow_id(reconciliation)):
            return None
        try:
            queue = await _ROUTE.take(reconciliation)
            so_far = so_far or ReconciledSoFar(listed=False, place=None)
            return await self._part_by_part(reconciliation, queue, so_far)
        except ActivityError as error:
            await workflow.execute_activity_method(
                Reconciliations.abandon_reconciliation,
                args=[
                    ReconciliationRequest(reconciliation=reconciliation, now=workflow.now()),
                    str(error.cause or error),
                ],
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=UNTIL_IT_WORKS,
                summary="Record why it failed",
            )
            return None

    async def _part_by_part(self, reconciliation: str, queue: str | None, so_far: ReconciledSoFar) -> int:
        listed, place = so_far.listed, so_far.place
        while True:
            progress = await self._part(reconciliation, queue, place, listed=listed)
            if listed and progress.place is None:
                return progress.count
            listed, place = listed or progress.place is None, progress.place
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[reconciliation, ReconciledSoFar(listed=listed, place=place)])

    async def _part(
        self, reconciliation: str, queue: str | None, place: Place | None, *, listed: bool
    ) -> ReconciliationProgress:
        return await workflow.execute_activity_method(
            Reconciliations.compare_some if listed else Reconciliations.list_page,
            ReconciliationRequest(reconciliation=reconciliation, now=workflow.now(), place=place),
            task_queue=queue,
            start_to_close_timeout=_PART,
            retry_policy=UNTIL_IT_WORKS,
            summary="Compare with ours" if listed else "List what the rail paid",
        )
