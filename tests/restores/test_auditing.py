"""Whoever audits from outside is told that the register is behind its mark."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from temporalio.testing import WorkflowEnvironment

from models.session import Database
from referral_rewards.cli import administration
from referral_rewards.config.settings import Settings
from referral_rewards.domain.restores.mark import Mark, Newest, Record
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.facts.intake import Intake
from referral_rewards.temporal import REGISTER_MARK, is_named, kept_mark
from tests.installation import PEPPER
from worker.build import payouts_worker
from workflows.register_mark import RegisterMark


@pytest.fixture
async def kept(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Mark]:
    """A mark on the session's Temporal, of a register that holds what the test's database lacks."""
    client, database = temporal_env.client, Database.at(database_url)
    mark = Mark(0, {Record.DECISIONS: Newest(7, "g")}, datetime.now(UTC))
    async with payouts_worker(client, "auditing", database, KeyRing.of([]), Intake(PEPPER), {}):
        handle = await client.start_workflow(
            RegisterMark.run, id=REGISTER_MARK, task_queue="auditing", start_signal="raise_to", start_signal_args=[mark]
        )
        await handle.query("kept")
        yield mark
        await handle.terminate()
    await database.close()


async def test_a_register_behind_its_mark_is_told(
    kept: Mark, database_url: str, temporal_env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await kept_mark(temporal_env.client) == kept
    host = temporal_env.client.service_client.config.target_host
    monkeypatch.setenv("TEMPORAL_ADDRESS", host)
    monkeypatch.setenv("REFERRALS_DATABASE_URL", database_url)
    lacks = await administration.behind_its_mark(Settings.load())
    assert lacks == ["the register is behind its mark: it lacks decision 7"]


async def test_a_temporal_that_is_named_and_does_not_answer_is_a_problem(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", database_url)
    assert not is_named(Settings.load())
    assert await administration.behind_its_mark(Settings.load()) == []
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert await administration.behind_its_mark(Settings.load()) == [
        "the register's mark can't be read: Temporal does not answer"
    ]
