"""How a workflow has an activity done: once in the worker that runs it, and through the server if that fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

P = TypeVar("P")
R = TypeVar("R")

#: Retries without limit: while the database is away nothing is lost and nothing is decided. Once it is back, all goes
#: on within a minute: the longest pause, and the time that an attempt may take to find out that nobody answers.
UNTIL_IT_WORKS: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))

#: How long the only attempt in the worker may take; about as long as the server waits for a workflow task.
_HERE: Final = timedelta(seconds=10)
_ONCE: Final = RetryPolicy(maximum_attempts=1)


@dataclass(frozen=True, slots=True)
class Turn(Generic[P, R]):
    """An activity of a workflow. ``patience`` and ``heartbeat`` are the timeouts of each attempt through the server,
    which are repeated by ``retries``; ``summary`` is what the Web UI shows.

    In the worker itself it is a local activity. That costs a third of the events, no round trip, and together with its
    workflow task one billable action. Repeated there, an outage of the database would fill the history, so it is tried
    once. Every activity here may be killed anywhere and run again.
    """

    activity: Callable[[Any, P], Awaitable[R]]
    summary: str
    patience: timedelta
    retries: RetryPolicy
    heartbeat: timedelta | None = None

    async def take(self, request: P) -> R:
        """Return what the activity returns; it is retried without limit."""
        try:
            return await workflow.execute_local_activity_method(
                self.activity, request, start_to_close_timeout=_HERE, retry_policy=_ONCE, summary=self.summary
            )
        except FailureError as error:  # its own error: a local activity's is not wrapped in an ActivityError
            if is_cancelled_exception(error):
                raise
        return await self.take_at(None, request)

    async def take_at(self, queue: str | None, request: P) -> R:
        """Return what the activity returns on this task queue; None means the workflow's own."""
        return await workflow.execute_activity_method(
            self.activity,
            request,
            task_queue=queue,
            start_to_close_timeout=self.patience,
            heartbeat_timeout=self.heartbeat,
            retry_policy=self.retries,
            summary=self.summary,
        )
