"""Runs of a cycle, a reversal and a reconciliation, ended or set back while they are at work: nothing comes twice."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.register import outbox, overdue
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.reporting.books import checking
from referral_rewards.workflow_ids import clawback_workflow_id, cycle_workflow_id, reconciliation_workflow_id
from tests.clawbacks.taking import act, cases, clawbacks, rewarded, told
from tests.installation import Installation
from tests.workflows.cycling import approved, comes_to, cycle_row, decide_on, monthly, open_cycle
from tests.workflows.scenes import books, quiet, scene, sql, status_of

_A = MoneyAct


@pytest.fixture
async def life(
    request: pytest.FixtureRequest, database_url: str, temporal_env: WorkflowEnvironment
) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env, getattr(request, "param", None)) as life:
        await life.user("fay")
        yield life
        async with life.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []


async def broken_off(life: Installation, workflow: str, how: str) -> None:
    """Ends the workflow's run, which a sweep two days later finds out, or sets it back to its first task."""
    client = life.environment.client
    handle = client.get_workflow_handle(workflow)
    if how == "terminated":
        with suppress(RPCError):
            await handle.terminate()
        async with life.database.transaction() as connection:
            await overdue.sweep(connection, datetime.now(UTC) + timedelta(days=2))
        await life.relay.deliver()
        return
    history = await handle.fetch_history()
    done = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow, run_id=history.run_id),
            reason="a test",
            request_id=str(uuid4()),
            workflow_task_finish_event_id=min(done),
        )
    )


_HOWS = pytest.mark.parametrize("how", ["terminated", "reset"])


@_HOWS
@pytest.mark.parametrize("life", [monthly()], indirect=True, ids=["monthly"])
@pytest.mark.parametrize("at", ["frozen", "released", "done"])
@pytest.mark.suite_has(2)
async def test_a_cycle_whose_run_is_broken_off_pays_once(life: Installation, how: str, at: str) -> None:
    await approved(life, "r1")
    async with life.workers():
        cycle = await open_cycle(life)
        workflow = cycle_workflow_id("acme-friends", (await comes_to(life, cycle, "frozen")).due_on)
        if at != "frozen":
            await decide_on(life, cycle, _A.RELEASE_CYCLE)
            await comes_to(life, cycle, *(["done"] if at == "done" else ["released", "done"]))
        await broken_off(life, workflow, how)
        if at == "frozen":
            await life.relay.deliver()
            await decide_on(life, cycle, _A.RELEASE_CYCLE)
        await comes_to(life, cycle, "done")
        await life.settled("r1", among=frozenset({"rewarded"}))
        try:
            assert await life.environment.client.get_workflow_handle(workflow).result() == "done"
        except WorkflowFailureError:
            # Whatever was done with needs no run any more, and it may have been by the time that this one was ended.
            assert how == "terminated"
            assert at != "frozen"
        assert (await cycle_row(life, cycle)).state == "done"
        assert len(await sql(life, "SELECT 1 FROM payout WHERE state = 'settled'")) == 2
    assert await life.money() == books("r1")


@_HOWS
@pytest.mark.parametrize("at", ["waiting for its rail", "taken back"])
@pytest.mark.suite_has(2)
async def test_a_reversal_whose_run_is_broken_off_takes_back_once(life: Installation, how: str, at: str) -> None:
    async with life.workers():
        await rewarded(life, "r1")
        await told(life, "conversion.reversed", kind="refund")
        if at == "waiting for its rail":
            await sql(
                life,
                "INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES ('account_credit', now(), now(), 'x')",
            )
        await act(life, _A.REVERSE_CLAWBACK, (await cases(life))["referrer"][0].id, 2500)
        await life.relay.deliver()
        [row] = await sql(life, "SELECT id FROM clawback")
        handle = life.environment.client.get_workflow_handle(clawback_workflow_id(str(row.id)))
        assert ((await status_of(handle))["again_after"] is None) == (at == "taken back")
        await broken_off(life, handle.id, how)
        await sql(life, "DELETE FROM rail_halt")
        async with life.database.transaction() as connection:
            await outbox.enqueue(connection, WakeupKind.CLAWBACK_DUE, str(row.id), row.id)
        await life.relay.deliver()
        assert await life.environment.client.get_workflow_handle(handle.id).result() == "reversed"
        await quiet(life, "r1")
        assert await clawbacks(life) == [("reverse", "reversed", 2500, 2500)]
        assert await life.money() == {"expense:acme-friends": 800, "credit:c-r1": -800}


@_HOWS
async def test_a_reconciliation_whose_run_is_broken_off_finds_each_difference_once(
    life: Installation, how: str
) -> None:
    async with life.workers():
        await rewarded(life, "r1")
    await sql(life, "UPDATE payout SET amount_minor = amount_minor + 1 WHERE amount_minor = 2500")
    now = datetime.now(UTC)
    async with life.database.transaction() as connection:
        asked = await reconciliations.ask(
            connection, "account_credit", now - timedelta(days=1), now + timedelta(days=1), by="fay", at=now
        )
    await life.relay.deliver()
    handle = life.environment.client.get_workflow_handle(reconciliation_workflow_id(str(asked)))
    if how == "terminated":
        # Nobody has begun with it yet.
        await broken_off(life, handle.id, how)
    async with life.workers():
        assert await handle.result() == 1
        if how == "reset":
            await broken_off(life, handle.id, how)
            assert await life.environment.client.get_workflow_handle(handle.id).result() == 1
    assert len(await sql(life, "SELECT 1 FROM reconciliation_difference")) == 1
    assert [tuple(row) for row in await sql(life, "SELECT state, differences FROM reconciliation")] == [("done", 1)]
    assert await sql(life, "SELECT 1 FROM listed_payment") == []
    await sql(life, "UPDATE payout SET amount_minor = 2500 WHERE amount_minor = 2501")
