"""Replays histories with the workflows of this build, and says of each run that would break where and why."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.worker import Replayer

from worker.build import PAYOUT_WORKFLOWS, REFERRAL_WORKFLOWS
from worker.histories import has_run, type_of
from worker.sandbox import runner

WORKFLOWS: Final[Sequence[type]] = (*REFERRAL_WORKFLOWS, *PAYOUT_WORKFLOWS)

_STARTED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_COMPLETED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
#: How Temporal's core writes what went wrong: the failure, then its causes.
_MESSAGE: Final = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_EVENT: Final = re.compile(r"HistoryEvent\(id: (\d+), (\w+)\)")
_KIND: Final = re.compile(r"^\[TMPRL\d+\] Nondeterminism error: ")
#: Pydantic's link to a page of its own.
_LINK: Final = re.compile(r"\s*For further information visit \S+")
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Break:
    """A run that this build can't go on with: the event of its history at which it broke, and why."""

    workflow_type: str
    workflow_id: str
    run_id: str
    event: int
    why: str

    def __str__(self) -> str:
        return f"{self.workflow_type} {self.workflow_id} (run {self.run_id}): event {self.event}: {self.why}"


class Replaying:
    """Replays one history after the other; it holds one at a time. ``workflows`` are this build's by default."""

    def __init__(self, converter: DataConverter, workflows: Sequence[type] = WORKFLOWS) -> None:
        # What breaks is told in a line of our own. Temporal's core would write pages of it to standard output.
        quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off")))
        self._replayer = Replayer(
            workflows=workflows, data_converter=converter, workflow_runner=runner(), runtime=quiet
        )

    async def each(
        self, histories: AsyncIterator[WorkflowHistory]
    ) -> AsyncIterator[tuple[WorkflowHistory, Break | None]]:
        """Yield each history that has something to replay, with how it breaks, or None if it does not."""
        some = (history async for history in histories if has_run(history))
        first = await anext(some, None)
        if first is None:
            return  # a replayer that was given nothing never ends
        async with self._replayer.workflow_replay_iterator(_after(first, some)) as results:
            async for result in results:
                failure = result.replay_failure
                yield result.history, None if failure is None else await self._found(result.history, str(failure))

    async def _found(self, history: WorkflowHistory, failure: str) -> Break:
        named = _EVENT.search(failure)
        event = int(named[1]) if named else await self._first_broken_task(history)
        return Break(type_of(history), history.workflow_id, history.run_id, event, why(failure))

    async def _first_broken_task(self, history: WorkflowHistory) -> int:
        """Return the id of the event that began the first task which breaks. A history that breaks once is broken from
        there on, so the place is halved again and again."""
        tasks = [index for index, each in enumerate(history.events[:-1]) if _begins_a_task(history, index)]
        low, high = 0, len(tasks) - 1
        while low < high:
            middle = (low + high) // 2
            if await self._breaks(history, tasks[middle]):
                high = middle
            else:
                low = middle + 1
        return history.events[tasks[low]].event_id

    async def _breaks(self, history: WorkflowHistory, task: int) -> bool:
        """Whether the history up to this event breaks."""
        beginning = WorkflowHistory(history.workflow_id, history.events[: task + 1])
        async with self._replayer.workflow_replay_iterator(_after(beginning)) as results:
            return [result.replay_failure is not None async for result in results] == [True]


async def _after(
    first: WorkflowHistory, others: AsyncIterator[WorkflowHistory] | None = None
) -> AsyncIterator[WorkflowHistory]:
    yield first
    if others is not None:
        async for each in others:
            yield each


def _begins_a_task(history: WorkflowHistory, index: int) -> bool:
    event, following = history.events[index], history.events[index + 1]
    return event.event_type == _STARTED and following.event_type == _COMPLETED


def why(failure: str) -> str:
    """Return in one line what Temporal's core said of a replay that failed: the failure and its last cause."""
    said = [
        re.sub(r"\\(.)", lambda sign: " " if sign[1] == "n" else sign[1], each) for each in _MESSAGE.findall(failure)
    ]
    whole = ": ".join(dict.fromkeys((said[0], said[-1]))) if said else failure
    line = " ".join(_LINK.sub("", _KIND.sub("", whole)).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
