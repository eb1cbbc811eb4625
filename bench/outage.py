"""An outage of PostgreSQL: how many events a run that is woken meanwhile adds, and how soon it goes on afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.pace import Pace
from bench.report import Measurement
from bench.stage import Stage, furnished, lives_on, workers
from referral_rewards.local.embedded import (
    HOST,
    Servers,
    ensure_database,
    free_port,
    prepare_postgres,
    prepare_temporal,
)
from referral_rewards.local.supervisor import Child
from referral_rewards.workflow_ids import workflow_id

#: What a woken run may add in an outage, however long.
EVENTS_MAX: Final = 20
NOTE: Final = (
    "The most events that a referral's run adds which is woken while PostgreSQL is stopped for so many seconds, "
    "against the most that it may. A step is tried once in the worker, then through the server, which repeats it "
    "without an event. `s to go on`: until the last of the runs was judged after PostgreSQL was back; a minute at most."
)
_RUNS: Final = 8
_PROGRAM: Final = "outage"
_PACE: Final = Pace(expiry=15.0, offer=600.0, return_=2.0, watch=3600.0, pause=0.0)
_PATIENCE_SECONDS: Final = 120.0


async def measure(data: Path, size: int) -> Measurement:
    """Measure an outage of ``size`` seconds.

    Raises:
        TimeoutError: if a run does not go on within two minutes after it.
    """
    names = [f"woken-{number}" for number in range(_RUNS)]
    async with _stage(data) as (its, postgres), _at_work(its):
        client = await Client.connect(its.hosts.temporal, data_converter=pydantic_data_converter)
        handles = [client.get_workflow_handle(workflow_id(name)) for name in names]
        async with lives_on(its) as lives:
            await lives.brought_before_approvers(_PROGRAM, names, _PACE)
            without = await _added(handles, _at_rest(handles))
            print(f"  PostgreSQL is away for {size} s", flush=True)
            await postgres.stop()
            events = await _added(handles, asyncio.sleep(size))
            back = Child.start(postgres.program)
            try:
                await back.wait_ready()
                began = time.perf_counter()
                await _at_rest(handles)
                seconds = time.perf_counter() - began
                await lives.approved_and_paid(names[0])
            finally:
                await back.stop()
    return Measurement(
        name="a run woken in an outage of the database",
        unit="events",
        size=size,
        ours=float(events),
        bare=float(EVENTS_MAX),
        ratio=events / EVENTS_MAX,
        goal=1,
        best="low",
        note=NOTE,
        parts={"events": float(events), "events without an outage": float(without), "s to go on": seconds},
    )


@asynccontextmanager
async def _stage(data: Path) -> AsyncIterator[tuple[Stage, Child]]:
    """The servers, of which PostgreSQL can be stopped."""
    ports = free_port(), free_port(), free_port()
    program, url = prepare_postgres(data, ports[0])
    postgres, temporal = Child.start(program), Child.start(prepare_temporal(data, ports[1], ports[2]))
    try:
        await asyncio.gather(postgres.wait_ready(), temporal.wait_ready())
        await ensure_database(url)
        yield await furnished(data, Servers(url, f"{HOST}:{ports[1]}", f"http://{HOST}:{ports[2]}")), postgres
    finally:
        await asyncio.gather(postgres.stop(), temporal.stop())


@asynccontextmanager
async def _at_work(its: Stage) -> AsyncIterator[None]:
    """The two workers, as processes of their own."""
    running = [Child.start(program) for program in workers(its)]
    try:
        await asyncio.gather(*(each.wait_ready() for each in running))
        yield
    finally:
        await asyncio.gather(*(each.stop() for each in running))


async def _added(handles: Sequence[WorkflowHandle[Any, Any]], meanwhile: Any) -> int:
    """Wake each run, and return the most events that one has added once ``meanwhile`` is over."""
    before = [await _length(handle) for handle in handles]
    for handle in handles:
        await handle.signal("decision_recorded", "woken by the measurement")
    await meanwhile
    return max([await _length(handle) - count for handle, count in zip(handles, before, strict=True)])


async def _length(handle: WorkflowHandle[Any, Any]) -> int:
    return len((await handle.fetch_history()).events)


async def _at_rest(handles: Sequence[WorkflowHandle[Any, Any]]) -> None:
    """Wait until no run has anything to do."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for handle in handles:
            while await _is_busy(handle):  # noqa: ASYNC110  (no event tells of it)
                await asyncio.sleep(0.1)


async def _is_busy(handle: WorkflowHandle[Any, Any]) -> bool:
    told = (await handle.describe()).raw_description
    return told.HasField("pending_workflow_task") or bool(told.pending_activities)
