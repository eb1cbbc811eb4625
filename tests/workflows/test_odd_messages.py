"""Whatever a Temporal client sends to a run of any of our workflows: at most the register is read again.

Signals that nobody wrote, of any encoding and in any number; queries and updates of unknown names; and a cancellation,
after which the sweep starts whatever should run.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.workflow import _Definition

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.restores.mark import Mark, Newest, Record
from referral_rewards.register import overdue
from tests.installation import Installation
from tests.workflows.every_kind import ENDS, about_to_take_a_step, furnish, woken
from tests.workflows.scenes import quiet, scene, sql
from tests.workflows.test_forgeries import ODD
from worker.build import PAYOUT_WORKFLOWS, REFERRAL_WORKFLOWS
from workflows.register_mark import RegisterMark

#: Payloads that no converter of ours reads, beside those of `ODD`.
UNREADABLE: Final[tuple[tuple[Any, ...], ...]] = (
    *ODD,
    (RawValue(Payload(metadata={"encoding": b"binary/unknown"}, data=b"\x00\xff")),),
    (RawValue(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x" * 1000)),) * 3,
    (RawValue(Payload(metadata={}, data=b"{}")),),
    (RawValue(Payload(metadata={"encoding": b"\xff\xfe"}, data=b"1")),),
    (RawValue(Payload(metadata={"encoding": b"json/protobuf", "messageType": b"no.Such"}, data=b"{}")),),
)
_SIGNALS: Final = sorted(
    {
        "nobody_listens_to_this",
        "__temporal_unknown",
        *(
            str(name)
            for workflow in (*REFERRAL_WORKFLOWS, *PAYOUT_WORKFLOWS)
            for name in _Definition.must_from_class(workflow).signals
        ),
    }
)


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        await furnish(life)
        yield life


async def test_odd_messages_wedge_no_run_of_any_kind(life: Installation) -> None:
    handles = await about_to_take_a_step(life, life)
    await woken(life, handles)
    client = life.environment.client
    mark = await client.start_workflow(
        RegisterMark.run, None, id=f"mark-{life.queue}", task_queue=f"{life.queue}-payouts"
    )
    # Each run has all of them before its first task.
    for handle in (*handles.values(), mark):
        for signal in _SIGNALS:
            for told in UNREADABLE:
                await _told(handle, signal, told)
    async with life.workers():
        assert {name: await handle.result() for name, handle in handles.items() if name in ENDS} == ENDS
        await life.settled("r2", among=frozenset({"on_hold"}))
        for handle in (handles["Referral"], mark):
            for told in UNREADABLE:
                await _asked_in_vain(handle, told)
        await life.decide("r2", DecisionKind.RELEASE)
        await life.settled("r2", among=frozenset({"awaiting_approval"}))
        now = datetime.now(UTC)
        await mark.signal(RegisterMark.raise_to, Mark(0, {Record.DECISIONS: Newest(7, "h")}, now))
        kept = await mark.query(RegisterMark.kept)
        assert kept is not None
        assert kept.newest[Record.DECISIONS].number == 7
        await mark.terminate()
    assert {"expense:acme-friends", "credit:dexter"} <= (await life.money()).keys()


async def _told(handle: WorkflowHandle[Any, Any], signal: str, told: tuple[Any, ...]) -> None:
    """Sends a signal. The server itself refuses what begins with the letters of its own."""
    with suppress(RPCError):
        await handle.signal(signal, args=told)


async def _asked_in_vain(handle: WorkflowHandle[Any, Any], told: tuple[Any, ...]) -> None:
    with pytest.raises((WorkflowQueryFailedError, RPCError)):
        await handle.query("nobody_answers_this", args=told)
    with pytest.raises((WorkflowUpdateFailedError, RPCError)):
        await handle.execute_update("nobody_takes_this", args=told)
    with suppress(WorkflowQueryFailedError, RPCError):
        await handle.query("status", args=told)


async def test_what_is_cancelled_goes_on_once_it_is_swept(life: Installation) -> None:
    """A referral, a payout and a reversal that wait, cancelled by somebody with a Temporal client."""
    halt = "INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES ('account_credit', now(), now(), 'down')"
    handles = await about_to_take_a_step(life, life)
    await sql(life, halt)
    await woken(life, handles)
    waiting = {name: handles[name] for name in ("Referral", "Payout", "Clawback")}
    async with life.workers():
        await life.settled("r2", among=frozenset({"on_hold"}))
        await quiet(life, "r2")
        for handle in waiting.values():
            await handle.cancel()
        for handle in waiting.values():
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        await sql(life, "DELETE FROM rail_halt")
        # A referral that waits for a person alone is not overdue: its next news starts it.
        await life.decide("r2", DecisionKind.RELEASE)
        async with life.database.transaction() as connection:
            await overdue.sweep(connection, datetime.now(UTC) + timedelta(days=2))
        await life.settled("r2", among=frozenset({"awaiting_approval"}))
        ends = {name: await _newest(life, handle).result() for name, handle in waiting.items() if name in ENDS}
        assert ends == {"Payout": "settled", "Clawback": "reversed"}


def _newest(life: Installation, handle: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
    return life.environment.client.get_workflow_handle(handle.id)
