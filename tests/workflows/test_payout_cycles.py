"""Payout cycles, with real servers: opened by a schedule, gathered, released by finance, paid once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.calendar import zone
from referral_rewards.domain.cycles.grouping import latest_due, next_due, opens_at
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.programs.terms import PayoutCycle
from referral_rewards.reporting.books import checking
from referral_rewards.temporal import cycle_schedule_id, cycle_workflow_id
from tests.installation import Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.cycling import approved, comes_to, decide_on, its_payouts, monthly, open_cycle
from tests.workflows.scenes import books, days_ago, payouts_at_work, scene, sql

RELEASE, STOP, RESUME = MoneyAct.RELEASE_CYCLE, MoneyAct.STOP_CYCLE, MoneyAct.RESUME_CYCLE
ON_THE_15TH = PayoutCycle(cycle="monthly", day=15)
TORONTO = zone("America/Toronto")


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env, monthly()) as life:
        await life.user("fay")
        yield life
        async with life.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []
        with suppress(RPCError):
            await schedule(life).delete()


def schedule(life: Installation) -> Any:
    return life.environment.client.get_schedule_handle(cycle_schedule_id("acme-friends"))


async def test_what_is_due_is_paid_together_once_finance_released_it(life: Installation) -> None:
    await approved(life, "r1", "r2")
    async with life.workers():
        cycle = await open_cycle(life)
        frozen = await comes_to(life, cycle, "frozen")
        made = await its_payouts(life, cycle)
        assert {payee: (row.state, row.amount_minor) for payee, row in made.items()} == {
            "dexter": ("planned", 5000),
            "c-r1": ("planned", 800),
            "c-r2": ("planned", 800),
        }
        await decide_on(life, cycle, RELEASE)
        done = await comes_to(life, cycle, "done")
        for referral in ("r1", "r2"):
            await life.settled(referral, among=frozenset({"rewarded"}))
    assert await life.money() == books("r1", "r2")
    assert frozen.digest == done.digest
    assert done.summary["outcome"] == [{"state": "settled", "currency": "USD", "payouts": 3, "amount_minor": 6600}]


async def test_a_cycle_whose_runs_are_terminated_goes_on_from_the_register_and_pays_once(life: Installation) -> None:
    await approved(life, "r1")
    async with life.workers():
        cycle = await open_cycle(life)
        row = await comes_to(life, cycle, "frozen")
        handle = life.environment.client.get_workflow_handle(cycle_workflow_id("acme-friends", row.due_on))
        await handle.terminate()
        await decide_on(life, cycle, STOP)
        await comes_to(life, cycle, "stopped")
        await handle.terminate()
        await decide_on(life, cycle, RESUME)
        await comes_to(life, cycle, "frozen")
        await handle.signal("news", "whatever anybody types")
        await decide_on(life, cycle, RELEASE)
        await comes_to(life, cycle, "done")
        await life.settled("r1", among=frozenset({"rewarded"}))
    assert await life.money() == books("r1")


async def test_a_schedule_of_the_programs_calendar_is_set_by_publishing_and_set_anew_when_it_was_lost(
    life: Installation,
) -> None:
    due = next_due(ON_THE_15TH, TORONTO, datetime.now(UTC))
    await life.relay.deliver()
    for _ in range(2):
        described = await schedule(life).describe()
        assert described.info.next_action_times[0] == opens_at(due, TORONTO)
        await schedule(life).delete()
        await life.relay.sweep(datetime.now(UTC))
    weekly = monthly().replace("cycle: monthly, day: 15", "cycle: weekly, day: 5")
    await life.publish(weekly)
    await life.relay.deliver()
    friday = next_due(PayoutCycle(cycle="weekly", day=5), TORONTO, datetime.now(UTC))
    assert (await schedule(life).describe()).info.next_action_times[0] == opens_at(friday, TORONTO)
    # Nothing is opened for a day from before the terms were published.
    assert await sql(life, "SELECT due_on FROM payout_cycle") == []


async def test_what_fell_due_while_the_schedule_was_lost_is_opened_and_its_tick_opens_nothing_twice(
    life: Installation,
) -> None:
    due = latest_due(ON_THE_15TH, TORONTO, datetime.now(UTC))
    await sql(life, "ALTER TABLE program_version DISABLE TRIGGER ALL")
    await sql(life, "UPDATE program_version SET published_at = :at", at=days_ago(60))
    async with payouts_at_work(life):
        await life.relay.sweep(datetime.now(UTC))
        [opened] = await sql(life, "SELECT id, due_on FROM payout_cycle")
        assert opened.due_on == due
        await comes_to(life, opened.id, "done")
        await sql(life, "DELETE FROM payout_cycle")
        for _ in range(2):
            await schedule(life).trigger()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await schedule(life).describe()).info.running_actions or not await sql(
                    life, "SELECT 1 FROM payout_cycle"
                ):
                    await asyncio.sleep(0.05)
        [again] = await sql(life, "SELECT id, due_on FROM payout_cycle")
        assert again == opened
        await comes_to(life, again.id, "done")
