"""Runs set back to each workflow task of their history: nothing is paid twice, and all ends as it stood."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.reporting.books import checking
from referral_rewards.temporal import cycle_workflow_id, payout_workflow_id, workflow_id
from tests.installation import Installation
from tests.workflows.cycling import approved, comes_to, decide_on, monthly, open_cycle
from tests.workflows.resets import set_back, tasks_of
from tests.workflows.scenes import before_its_approver, books, quiet, scene, sql


@pytest.fixture
async def life(
    request: pytest.FixtureRequest, database_url: str, temporal_env: WorkflowEnvironment
) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env, getattr(request, "param", None)) as life:
        await life.user("fay")
        yield life


async def on_record(life: Installation) -> object:
    """Everything that was paid, posted, decided and reserved."""
    return [
        [tuple(row) for row in await sql(life, statement)]
        for statement in (
            "SELECT id, key FROM ledger_transaction ORDER BY key",
            "SELECT id, state, generation, provider_reference FROM payout ORDER BY id",
            "SELECT payout_id, act, state FROM payout_step ORDER BY id",
            "SELECT id, state FROM leg ORDER BY id",
            "SELECT id, status, closed_at FROM referral ORDER BY id",
            "SELECT decision_id, effect FROM decision_effect ORDER BY 1, 2",
            "SELECT id, state, turn FROM payout_cycle ORDER BY id",
        )
    ]


async def each_reset_changes_nothing(
    life: Installation, workflows: list[str], rest: Callable[[str], Awaitable[object]]
) -> int:
    """Set each run back to each of its workflow tasks, one after another; return how often."""
    client, before, resets = life.environment.client, await on_record(life), 0
    for workflow in workflows:
        run, tasks = await tasks_of(client, workflow)
        for task in tasks:
            await set_back(client, workflow, run, task)
            await rest(workflow)
            assert await on_record(life) == before, f"{workflow} was set back to {task}"
            resets += 1
    async with life.database.transaction() as connection:
        assert [each async for each in checking.problems(connection)] == []
        assert await decisions.chain_problems(connection, life.keys) == []
    return resets


async def test_a_referral_and_its_payouts_set_back_to_any_task_pay_once(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
        await quiet(life, "r1")
        payouts = [payout_workflow_id(str(row.id)) for row in await sql(life, "SELECT id FROM payout ORDER BY id")]

        async def rest(workflow: str) -> None:
            if workflow in payouts:
                assert await life.environment.client.get_workflow_handle(workflow).result() == "settled"
            assert (await quiet(life, "r1")).status == "rewarded"

        resets = await each_reset_changes_nothing(life, [*payouts, workflow_id("r1")], rest)
    assert resets > len(payouts) + 1
    assert await life.money() == books("r1")


@pytest.mark.parametrize("life", [monthly()], indirect=True, ids=["monthly"])
async def test_a_cycle_set_back_to_any_task_pays_once(life: Installation) -> None:
    await approved(life, "r1")
    async with life.workers():
        cycle = await open_cycle(life)
        due_on = (await comes_to(life, cycle, "frozen")).due_on
        await decide_on(life, cycle, MoneyAct.RELEASE_CYCLE)
        await comes_to(life, cycle, "done")
        await life.settled("r1", among=frozenset({"rewarded"}))
        await quiet(life, "r1")

        async def rest(workflow: str) -> None:
            assert await life.environment.client.get_workflow_handle(workflow).result() == "done"
            await quiet(life, "r1")

        resets = await each_reset_changes_nothing(life, [cycle_workflow_id("acme-friends", due_on)], rest)
    assert resets > 1
    assert await life.money() == books("r1")
