"""What people decide on a program, with real servers: what it concerns goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.temporal import payout_workflow_id, program_workflow_id
from tests.installation import Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import before_its_approver, books, scene, sql
from workflows.payout import Payout

_ACME = "acme-friends"


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        await life.user("paula")
        try:
            yield life
        finally:
            with suppress(RPCError):
                await temporal_env.client.get_workflow_handle(program_workflow_id(_ACME)).terminate()


async def decide(life: Installation, act: MoneyAct, at: datetime | None = None, program: str = _ACME) -> None:
    """Records a decision on the program as the API does, and delivers its wake-up."""
    async with life.database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.PROGRAM, program, life.keys)
    async with life.database.transaction() as connection:
        await record(
            connection,
            Asked(program, act, "other", "looked at it", shown.digest, at=at),
            Approver("paula", frozenset({Role.PROGRAM_OWNER})),
            now=datetime.now(UTC),
            keys=life.keys,
            signer=life.signer,
        )
    await life.relay.deliver()


async def carried_out(life: Installation) -> None:
    """Returns once what was decided was carried out, as far as it holds by now."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await life.relay.deliver()
            [row] = await sql(life, "SELECT due_at FROM program_life")
            if row.due_at is None or row.due_at > datetime.now(UTC):
                return
            await asyncio.sleep(0.05)


async def waits_for_its_program(life: Installation) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await life.relay.deliver()
            rows = await sql(life, "SELECT id, state, first_sent_at FROM payout")
            if rows and all(["is paused" in await _why(life, str(row.id)) for row in rows]):
                assert {(row.state, row.first_sent_at) for row in rows} == {("approved", None)}
                return
            await asyncio.sleep(0.05)


async def _why(life: Installation, payout: str) -> str:
    """Why the workflow of a payout waits."""
    handle = life.environment.client.get_workflow_handle(payout_workflow_id(payout))
    with suppress(RPCError):
        progress = await handle.query(Payout.status)
        return (progress.why or "") if progress is not None else ""
    return ""


async def test_a_paused_program_pays_nothing_and_once_resumed_pays_by_itself(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await decide(life, MoneyAct.PAUSE_PROGRAM)
        # Decided before the pause and carried out after it: the pause voids nothing.
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"approved"}))
        await waits_for_its_program(life)
        await decide(life, MoneyAct.RESUME_PROGRAM)
        await life.settled("r1", among=frozenset({"rewarded"}))
        await carried_out(life)
    assert await life.money() == books("r1")


async def test_an_end_that_is_to_come_is_waited_for_and_carried_out(life: Installation) -> None:
    now = datetime.now(UTC)
    referee = {"email": "brie@example.com"}
    spoken = {"referral": "r1", "program": _ACME, "referrer": "dexter", "channel": "word_of_mouth", "referee": referee}
    async with life.workers():
        await life.tell("referral.sent", now, **spoken)
        await life.settled("r1", among=frozenset({"invited"}))
        ends_at = datetime.now(UTC) + timedelta(days=2)
        await decide(life, MoneyAct.END_PROGRAM, ends_at)
        await carried_out(life)
        row = await life.settled("r1", among=frozenset({"invited"}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while row.deadline is None:
                await life.relay.deliver()
                row = await life.row("r1")
        assert timedelta(days=29) < row.deadline - ends_at < timedelta(days=31)
        handle = life.environment.client.get_workflow_handle(program_workflow_id(_ACME))
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        await life.environment.fast_forward(handle, timedelta(days=2, minutes=1))
        assert await handle.result() is None
        [left] = await sql(life, "SELECT due_at FROM program_life")
    assert left.due_at is None
