"""The database is away while every kind of workflow has a step to take: each waits in few events, and then goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.reconciliations import _patience
from models.session import Database
from tests.installation import Installation
from tests.line import line
from tests.patience import PATIENCE_SECONDS
from tests.workflows.every_kind import ENDS, about_to_take_a_step, furnish, woken
from tests.workflows.scenes import quiet, scene
from worker.build import PAYOUT_WORKFLOWS, REFERRAL_WORKFLOWS
from workflows.register_mark import RegisterMark

#: What a run that is woken in an outage may add to its history until the database is back. Attempts through the server
#: add nothing, so it is as many in an outage of a week.
_EVENTS_MAX: Final = 12


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        await furnish(life)
        yield life


async def test_each_workflow_waits_for_the_database_in_few_events_and_goes_on(life: Installation) -> None:
    url = make_url(life.database._engine.url)
    async with line(url.host or "127.0.0.1", url.port or 5432) as way, over(life, way.port) as away:
        handles = await about_to_take_a_step(life, away)
        before = {name: await _length(handle) for name, handle in handles.items()}
        await way.cut()
        async with away.workers():
            await woken(life, handles)
            for handle in handles.values():
                await _is_tried_again(handle)
            added = {name: await _length(handle) - before[name] for name, handle in handles.items()}
            await way.mend()
            ends = {name: await handle.result() for name, handle in handles.items() if name in ENDS}
            await quiet(life, "r2")
            row = await life.settled("r2", among=frozenset({"on_hold"}))
    assert {name: count for name, count in added.items() if count > _EVENTS_MAX} == {}
    assert row.status == "on_hold"
    assert ends == ENDS
    # Of all our workflows only one asks the database nothing.
    ours = {each.__name__ for each in (*REFERRAL_WORKFLOWS, *PAYOUT_WORKFLOWS)}
    assert ours - handles.keys() == {RegisterMark.__name__}


@pytest.mark.parametrize(
    ("error", "attempt", "is_the_last"),
    [
        (OperationalError("SELECT 1", {}, Exception("connection refused")), 99, False),
        (PoolTimeout("no connection is free"), 99, False),
        (ConnectionRefusedError(111, "refused"), 99, False),
        (ApplicationError("the list of the rail broke off"), 5, False),
        (ApplicationError("the list of the rail broke off"), 6, True),
        (KeyError("a bug"), 6, True),
    ],
)
def test_a_reconciliation_waits_for_the_database_without_limit_and_for_its_rail_six_times(
    error: Exception, attempt: int, is_the_last: bool
) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)

    def work() -> None:
        with _patience():
            raise error

    with pytest.raises(type(error) if not is_the_last else ApplicationError) as raised:
        environment.run(work)
    assert (isinstance(raised.value, ApplicationError) and raised.value.non_retryable) is is_the_last


@asynccontextmanager
async def over(life: Installation, port: int) -> AsyncIterator[Installation]:
    """The installation, with its database at another port."""
    url = life.database._engine.url.set(host="127.0.0.1", port=port)
    database = Database.at(url.render_as_string(hide_password=False))
    try:
        yield replace(life, database=database)
    finally:
        await database.close()


async def _is_tried_again(handle: WorkflowHandle[Any, Any]) -> None:
    """Returns once the server has tried the run's step in vain, and is about to try it again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            waiting = (await handle.describe()).raw_description.pending_activities
            if any(each.attempt > 1 for each in waiting):
                return
            await asyncio.sleep(0.05)


async def _length(handle: WorkflowHandle[Any, Any]) -> int:
    try:
        return len((await handle.fetch_history()).events)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return 0
        raise
