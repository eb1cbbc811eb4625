"""The whole product works behind a pooler that hands each transaction another session of PostgreSQL."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio.testing import WorkflowEnvironment

from models import pooler
from models.session import Database
from referral_rewards.config.stack import with_driver
from referral_rewards.local import bootstrap
from referral_rewards.local.embedded import free_port
from referral_rewards.local.stack import Ports, stack
from tests.cases.running import Stack, until
from tests.deploy.bouncer import PROGRAM, SESSIONS, bounced, shown
from tests.desk import desk, life_of
from tests.installation import Installation
from tests.snapshots import administer, beside
from tests.workflows.scenes import books

_SESSION = text("SELECT pg_backend_pid()")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine")


@pytest.fixture
async def behind(database_url: str) -> AsyncIterator[str]:
    async with bounced(database_url) as url:
        yield url


async def test_a_pooler_that_nobody_named_is_found(database_url: str, behind: str) -> None:
    for url, pooled, found in ((behind, False, True), (behind, True, False), (database_url, False, False)):
        database = Database.at(url, pooled=pooled)
        problem = await pooler.problem(database)
        await database.close()
        assert (problem is not None) is found, (pooled, problem)
        assert problem is None or problem.where == "REFERRALS_DATABASE_POOLING"


async def test_many_connections_share_few_sessions_however_often_they_say_the_same(behind: str) -> None:
    database = Database.at(behind, pool_size=10, planned_once=True, pooled=True)

    async def often() -> set[int]:
        found = set()
        for _ in range(10):
            async with database.reading() as connection:
                found.add((await connection.execute(_SESSION)).scalar_one())
        return found

    sessions = set().union(*await asyncio.gather(*(often() for _ in range(20))))
    assert database.connections_opened > SESSIONS >= len(sessions)
    await database.close()


async def test_who_reads_behind_a_pooler_still_cannot_write(behind: str) -> None:
    database = Database.at(behind, pooled=True)
    with pytest.raises(Exception, match="read-only transaction"):
        async with database.reading() as connection:
            await connection.execute(text("DELETE FROM outbox"))
    await database.close()


async def test_a_referral_is_told_judged_approved_and_paid_behind_it(
    behind: str, temporal_env: WorkflowEnvironment
) -> None:
    async with desk(behind, pooled=True) as opened:
        life = Installation(opened.database, temporal_env, f"q{uuid4().hex[:8]}", opened.parts.signer)
        async with life.ending(), life.workers():
            assert (await opened.tell(life_of("r1"))).status_code == 202
            await life.settled("r1", among=frozenset({"awaiting_approval"}))
            await opened.decide("r1", "approve")
            await life.settled("r1", among=frozenset({"rewarded"}))
        assert await life.money() == books("r1")


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_a_whole_life_is_lived_behind_it(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema, the API, both workers and the commands: all reach PostgreSQL through the pooler alone."""
    for name in [name for name in os.environ if name.startswith(("REFERRALS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    await administer(postgres_url, "CREATE DATABASE behind_a_pooler")
    async with bounced(beside(postgres_url, "behind_a_pooler")) as url:
        monkeypatch.setenv("REFERRALS_DATABASE_URL", url)
        monkeypatch.setenv("REFERRALS_DATABASE_POOLING", "transaction")
        data, ports = tmp_path / "data", Ports(*(free_port() for _ in Ports._fields))
        monkeypatch.setenv("REFERRALS_DATA", str(data))
        async with stack(data, ports, bootstrap=bootstrap.steps(example=True), say=lambda line: None):
            database = Database.at(with_driver(url), pooled=True)
            running = Stack(data, database, "")

            async def stands_at(status: str) -> bool:
                return (await running.read("show", "db1"))["status"] == status

            await until(lambda: stands_at("awaiting_approval"))
            await running.types("approve", "db1", "--reason", "terms_met", "--note", "checked", "--as", "paula")
            await until(lambda: stands_at("rewarded"))
            await running.types("decisions", "verify")
            await running.types("ledger", "check")
            (pool,) = [each for each in await shown(url, "POOLS") if each["database"] == "behind_a_pooler"]
            assert pool["cl_active"] > SESSIONS >= pool["sv_active"] + pool["sv_idle"] + pool["sv_used"]
            await database.close()
    await administer(postgres_url, "DROP DATABASE behind_a_pooler WITH (FORCE)")
