"""Payout cycles, with real servers: gathered, frozen, released by finance, paid once."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.money_acts import MoneyAct
from tests.installation import Installation
from tests.workflows.cycling import approved, comes_to, decide_on, its_payouts, monthly, open_cycle
from tests.workflows.scenes import books, scene

RELEASE, STOP, RESUME = MoneyAct.RELEASE_CYCLE, MoneyAct.STOP_CYCLE, MoneyAct.RESUME_CYCLE


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env, monthly()) as life:
        for person in ("fay", "finn"):
            await life.user(person)
        yield life


async def test_what_is_due_is_paid_together_once_finance_released_it(life: Installation) -> None:
    await approved(life, "r1", "r2")
    assert await life.money() != {}
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
