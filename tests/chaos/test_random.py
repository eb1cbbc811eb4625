"""Workers die at random while many referrals are lived: every approved leg is paid exactly once."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from referral_rewards.register.decisions import chain as decisions
from tests.chaos.cluster import Cluster, cluster, until
from tests.workflows.scenes import lived_until_review

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

REFERRALS, KILLS = 15, 12  # dexter may be rewarded twenty times a year


@pytest.fixture
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("random")) as running:
        yield running


@pytest.mark.parametrize("seed", range(3))
async def test_workers_killed_at_random_pay_every_approved_leg_exactly_once(whole: Cluster, seed: int) -> None:
    chance = random.Random(seed)
    for role in ("referrals", "payouts", "all"):
        await whole.work(role)
    async with asyncio.TaskGroup() as tasks:
        for number in range(REFERRALS):
            tasks.create_task(_live(whole, f"r{number}", pause=chance.uniform(0, 20)))
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.1, 2.5))
            victim = chance.choice(whole.workers)
            await whole.crash(victim)
            await whole.work(victim.program.name.removeprefix("worker "))
    await until(lambda: whole.ask("SELECT 1 FROM referral HAVING bool_and(status = 'rewarded')"), seconds=120)
    await _everything_adds_up(whole)


async def _live(whole: Cluster, referral: str, pause: float) -> None:
    """Tells the referral's facts some time from now, and decides on it as soon as it asks."""
    await asyncio.sleep(pause)
    await lived_until_review(whole.life, referral)

    async def asks() -> bool:
        row = await whole.life.row(referral)
        return row is not None and row.status == "awaiting_approval"

    await until(asks, seconds=120)
    await whole.life.decide(referral)


async def _everything_adds_up(whole: Cluster) -> None:
    assert await whole.ask("SELECT state, count(*) FROM payout GROUP BY state") == [("settled", 2 * REFERRALS)]
    assert await whole.ask("SELECT state, count(*) FROM leg WHERE state <> 'cancelled' GROUP BY state") == [
        ("paid", 2 * REFERRALS)
    ]
    posted = await whole.ask("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'credited:%'")
    assert posted == [(2 * REFERRALS,)]
    [(approved,)] = await whole.ask("SELECT CAST(sum(amount_minor) AS bigint) FROM leg WHERE state = 'paid'")
    books = await whole.life.money()
    assert books.pop("expense:acme-friends") == approved
    assert -sum(books.values()) == approved
    assert all(account.startswith("credit:") for account in books)
    async with whole.life.database.transaction() as connection:
        assert await decisions.chain_problems(connection, whole.life.keys) == []
