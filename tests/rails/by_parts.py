"""Carries out a reconciliation as its workflow does, part by part."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from temporalio.testing import ActivityEnvironment

from activities.messages import ReconciliationProgress, ReconciliationRequest
from activities.reconciliations import Reconciliations

Part = Callable[[ReconciliationRequest], Awaitable[ReconciliationProgress]]


async def listed(doing: Reconciliations, request: ReconciliationRequest) -> int:
    """Lists what the rail paid; how many payments."""
    return await _to_the_end(doing.list_page, request)


async def compared(doing: Reconciliations, request: ReconciliationRequest) -> int:
    """Compares it with ours; how many differences."""
    return await _to_the_end(doing.compare_some, request)


async def _to_the_end(part: Part, request: ReconciliationRequest) -> int:
    count, place = 0, request.place
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=request.now)
    while True:
        progress = await environment.run(part, request.model_copy(update={"place": place}))
        count, place = count + progress.count, progress.place
        if place is None:
            return count
