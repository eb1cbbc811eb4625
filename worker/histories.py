"""Histories of runs: fetched one by one from Temporal, or read from a folder of JSON files."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from google.protobuf.json_format import ParseError
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from referral_rewards.domain.errors import BadInput, Problem

_PAGE: Final = 500
_COMPLETED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs are looked at: of each workflow type at most ``sample`` open ones and as many that closed after
    ``closed_after``, spread evenly over all there are. A sample of 0 means every run, and None no closed one."""

    types: Sequence[str]
    sample: int
    closed_after: datetime | None

    @classmethod
    def of(cls, types: Sequence[str], sample: int, recent_days: int, now: datetime) -> "Choice":
        return cls(types, sample, now - timedelta(days=recent_days) if recent_days else None)

    def queries(self) -> tuple[str, ...]:
        """Return the queries of Temporal's visibility that find the runs. A paused run is open, too."""
        closed = f"CloseTime > '{self.closed_after:%Y-%m-%dT%H:%M:%SZ}'" if self.closed_after else None
        states = ("CloseTime IS NULL", *((closed,) if closed else ()))
        return tuple(f"WorkflowType = '{each}' AND {state}" for each in self.types for state in states)


async def of_server(client: Client, choice: Choice) -> AsyncIterator[WorkflowHistory]:
    """Yield the histories of the chosen runs, one in memory at a time.

    Raises:
        RPCError: if the server does not answer.
    """
    for query in choice.queries():
        async for run in _spread(client, query, choice.sample):
            handle = client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
            try:
                yield await handle.fetch_history()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # its retention ended just now
                    raise


async def _spread(client: Client, query: str, sample: int) -> AsyncIterator[WorkflowExecution]:
    """Yield at most ``sample`` of the runs that a query finds: every second, every third, … A list is in order of time,
    so that the oldest are among them."""
    step = -(-(await client.count_workflows(query)).count // sample) if sample else 1
    number, token = 0, b""
    while True:
        # Not `list_workflows`: it fails on a run that is paused.
        page = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=client.namespace, page_size=_PAGE, next_page_token=token, query=query
            )
        )
        for each in page.executions:
            if number % max(1, step) == 0:
                yield each.execution
            number += 1
        token = page.next_page_token
        if not token:
            return


def files_of(folder: Path) -> Sequence[Path]:
    """Return the JSON files of a folder, by name.

    Raises:
        BadInput: if there is none.
    """
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise BadInput([Problem(str(folder), "holds no *.json file with the history of a run")])
    return files


async def of_files(files: Sequence[Path]) -> AsyncIterator[WorkflowHistory]:
    """Yield the histories that the files hold, as `--save` and `temporal workflow show --output json` write them.

    Raises:
        BadInput: if one is no history.
    """
    for path in files:
        yield _read(path)


def _read(path: Path) -> WorkflowHistory:
    try:
        history = WorkflowHistory.from_json(path.stem, path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError, ParseError, OSError) as error:
        raise BadInput(
            [Problem(str(path), f"can't be read as the history of a run ({type(error).__name__})")]
        ) from None
    if not history.events or not history.events[0].HasField("workflow_execution_started_event_attributes"):
        raise BadInput([Problem(str(path), "is no history of a run: it does not begin with its start")])
    started = history.events[0].workflow_execution_started_event_attributes
    return WorkflowHistory(started.workflow_id or path.stem, history.events)


def type_of(history: WorkflowHistory) -> str:
    """Return the name of the run's workflow type."""
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


def has_run(history: WorkflowHistory) -> bool:
    """Whether a worker has completed a task of it: before that there is nothing to replay."""
    return any(each.event_type == _COMPLETED for each in history.events)


def save(history: WorkflowHistory, folder: Path) -> None:
    """Write a history to the folder, under the run's type and id."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{type_of(history)}-{history.run_id}.json").write_text(history.to_json() + "\n", encoding="utf-8")
