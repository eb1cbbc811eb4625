"""Runs of production are replayed with this build before it is rolled out: what would break is told, run by run."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from referral_rewards.payload_codec import Codec, converter
from tests.patience import PATIENCE_SECONDS
from tests.replay.histories import FOLDER
from worker import replay
from worker.histories import Choice, of_server
from worker.replaying import Replaying, why

_RUN: Final = "Referral referral-rewarded"


def _as_renamed(events: list[Any]) -> None:
    """The old build had this activity under another name."""
    (first, *_) = [each for each in events if "activityTaskScheduledEventAttributes" in each]
    first["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "gather_claim"


def _as_told_otherwise(events: list[Any]) -> None:
    """The old build knew a status that this one does not."""
    marked = [each["markerRecordedEventAttributes"] for each in events if "markerRecordedEventAttributes" in each]
    (payload,) = marked[1]["details"]["result"]["payloads"]
    payload["data"] = base64.b64encode(b'{"status": "parked"}').decode()


def _as_of_a_type_that_is_gone(events: list[Any]) -> None:
    events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] = "Voucher"


def _just_begun(events: list[Any]) -> None:
    """No worker has taken it up yet."""
    del events[2:]


def _write(folder: Path, change: Callable[[list[Any]], None]) -> None:
    folder.mkdir(exist_ok=True)
    document = json.loads((FOLDER / "rewarded.json").read_text())
    change(document["events"])
    (folder / "run.json").write_text(json.dumps(document))


async def _ended(*arguments: str) -> int:
    """The exit code of the command, run beside the loop of this session."""
    return await asyncio.to_thread(replay.main, arguments)


async def test_what_is_on_record_breaks_nowhere(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert await _ended("--from", str(FOLDER), "--save", str(tmp_path / "saved")) == 0
    out, told = capsys.readouterr()
    count = len(list(FOLDER.glob("*.json")))
    assert out == ""
    assert told.startswith(f"replayed {count} runs (Clawback 1, Payout 2, ")
    assert told.endswith("): none would break\n")
    # What was saved is read again; two referrals on record may be of one run id no more than in production.
    assert len(list((tmp_path / "saved").glob("*.json"))) == count
    assert await _ended("--from", str(tmp_path / "saved")) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_as_renamed, ": Activity type of scheduled event 'gather_claim' does not match"),
        (_as_told_otherwise, ": Failed decoding arguments: 1 validation error for Standing status Input should be"),
        (_as_of_a_type_that_is_gone, ": Workflow class Voucher is not registered on this worker"),
    ],
)
async def test_a_run_that_would_break_is_one_line_with_its_event_and_why(
    change: Callable[[list[Any]], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, change)
    assert await _ended("--from", str(tmp_path)) == 2
    out, told = capsys.readouterr()
    (line,) = out.splitlines()
    assert line.startswith(("Referral referral-rewarded (run ", "Voucher referral-rewarded (run "))
    assert said in line
    assert ": event " in line
    assert told.endswith(": 1 would break\n")


async def test_a_run_that_nobody_took_up_yet_has_nothing_to_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, _just_begun)
    assert await _ended("--from", str(tmp_path)) == 0
    assert capsys.readouterr().err == "no run was found\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "holds no *.json file with the history of a run"),
        ("{", "can't be read as the history of a run (JSONDecodeError)"),
        ('{"x": 1}', "can't be read as the history of a run (ValueError)"),
        ('{"events": []}', "is no history of a run: it does not begin with its start"),
    ],
)
async def test_a_folder_without_histories_is_bad_input(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert await _ended("--from", str(tmp_path)) == 2
    out, told = capsys.readouterr()
    assert out == ""
    assert told.startswith(f"replay: {tmp_path}")
    assert told.endswith(f": {said}\n")


def test_what_core_says_becomes_one_line() -> None:
    assert why('x message: "[TMPRL1100] Nondeterminism error: a \\"b\\"\\nc", cause: None') == 'a "b" c'
    assert why('message: "outer" cause: message: "inner\\n    For further information visit https://x.y/z"') == (
        "outer: inner"
    )
    assert why("nothing like it") == "nothing like it"


def test_the_command_ends_in_this_module_and_needs_no_database() -> None:
    """Nothing is set but where Temporal is, and nobody answers there."""
    ran = subprocess.run(
        [sys.executable, "-m", "referral_rewards.cli.main", "replay", "--sample", "1"],
        env={"TEMPORAL_ADDRESS": "127.0.0.1:1", "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("replay: Temporal does not answer: ")
    assert len(ran.stderr.splitlines()) == 1


@workflow.defn
class Waits:
    """A run that ends once it is told to; of this test alone, for the server is the whole session's."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._told)

    @workflow.signal
    def go_on(self) -> None:
        self._told = True


async def test_open_and_recent_runs_are_fetched_the_oldest_among_them(temporal_env: WorkflowEnvironment) -> None:
    """Six open runs and two closed ones, of which three each are asked for."""
    client, queue = temporal_env.client, f"waits-{uuid4().hex[:8]}"
    names = [f"{queue}-{number}" for number in range(8)]
    async with Worker(client, task_queue=queue, workflows=[Waits], workflow_runner=UnsandboxedWorkflowRunner()):
        handles = [await client.start_workflow(Waits.run, id=name, task_queue=queue) for name in names]
        for handle in handles[6:]:
            await handle.signal(Waits.go_on)
            await handle.result()
        choice = Choice.of(["Waits"], sample=3, recent_days=1, now=datetime.now(UTC))
        still_open, closed = choice.queries()

        async def counts() -> tuple[int, int]:
            return (await client.count_workflows(still_open)).count, (await client.count_workflows(closed)).count

        async with asyncio.timeout(PATIENCE_SECONDS):
            while await counts() != (6, 2):
                await asyncio.sleep(0.05)
        found = {history.workflow_id: history async for history in of_server(client, choice)}
    assert len([name for name in names[:6] if name in found]) == 3
    assert set(names[6:]) <= found.keys()
    everything = Choice.of(["Waits"], sample=0, recent_days=0, now=datetime.now(UTC))
    assert [name async for name in _names(of_server(client, everything))] == sorted(names[:6], reverse=True)


async def _names(histories: Any) -> Any:
    async for history in histories:
        assert isinstance(history, WorkflowHistory)
        yield history.workflow_id


async def test_histories_are_held_one_at_a_time() -> None:
    """The next one is fetched only after the one before was replayed."""
    order: list[str] = []

    async def histories() -> Any:
        for name in ("payout", "clawback", "payout"):
            order.append(f"fetched {name}")
            yield WorkflowHistory.from_json(name, (FOLDER / f"{name}.json").read_text())

    async for history, found in Replaying(converter(Codec({}))).each(histories()):
        assert found is None
        order.append(f"replayed {history.workflow_id}")
    assert order == [f"{act} {name}" for name in ("payout", "clawback", "payout") for act in ("fetched", "replayed")]
