"""Steps that a workflow of a stranger's asks for as of a moment of its choice: no period ends, no payment is dated."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.messages import JudgeRequest, PayoutRequest
from tests.installation import Installation
from tests.workflows.scenes import (
    approved_but_unsent,
    days_ago,
    payouts,
    payouts_at_work,
    purchase,
    referrals_at_work,
    scene,
    sql,
)

_LATER: Final = datetime(2100, 1, 1, tzinfo=UTC)
_EARLIER: Final = datetime(2000, 1, 1, tzinfo=UTC)


@workflow.defn
class Stranger:
    """Asks our workers for a step of theirs."""

    @workflow.run
    async def run(self, step: str, queue: str, request: dict[str, Any]) -> Any:
        patience = timedelta(seconds=60)
        return await workflow.execute_activity(step, request, task_queue=queue, start_to_close_timeout=patience)


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        yield life


async def _ask(life: Installation, step: str, queue: str, request: JudgeRequest | PayoutRequest) -> Any:
    client, own = life.environment.client, f"strange-{uuid4().hex[:8]}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=own, workflows=[Stranger], workflow_runner=runner):
        asked: list[Any] = [step, f"{life.queue}-{queue}", request.model_dump(mode="json")]
        return await client.execute_workflow("Stranger", args=asked, id=own, task_queue=own)


async def test_a_payment_is_dated_by_the_server_and_not_by_who_asks_for_it(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    target = (await payouts(life, "r1"))["referrer"]
    async with payouts_at_work(life):
        request = PayoutRequest(payout=str(target.id), now=_LATER)
        assert (await _ask(life, "send_payout", "payouts", request))["state"] == "settled"
    joined = "payout p JOIN ledger_transaction t ON t.key = 'settled:' || p.id"
    dates = await sql(life, f"SELECT first_sent_at, settled_at, posted_at FROM {joined} WHERE p.id = :id", id=target.id)
    assert len(dates) == 1
    assert all(days_ago(1) < at < days_ago(-1) for at in dates[0])


@pytest.mark.parametrize("made_up", [_LATER, _EARLIER])
@pytest.mark.parametrize("step", ["judge_referral", "assemble_claim"])
async def test_a_referral_stands_where_it_stands_now_whenever_it_is_asked_as_of(
    life: Installation, step: str, made_up: datetime
) -> None:
    referee = {"customer": "c-r1", "email": "r1@example.com"}
    about = {"referral": "r1", "referrer": "dexter", "program": "acme-friends", "channel": "email"}
    async with life.database.transaction() as connection:
        for type_, at, data in (
            ("referral.sent", days_ago(5), about | {"referee": referee}),
            ("referral.claimed", days_ago(4), {"referral": "r1", "referee": referee, "consent": True}),
            ("conversion.recorded", days_ago(3), purchase("r1", "o-r1")),
        ):
            await life.intake.record(connection, [life.event(type_, at, data)], received_at=at)
    async with referrals_at_work(life):
        before = await life.settled("r1", among=frozenset({"in_return_period"}))
        said = await _ask(life, step, "referrals", JudgeRequest(referral="r1", now=made_up))
    assert said["status"] == "in_return_period"
    after = await life.row("r1")
    assert (after.status, after.wake_at) == (before.status, before.wake_at)
