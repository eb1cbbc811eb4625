"""The mark outside of the register, on a real Temporal and a real PostgreSQL that is exchanged under the worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import pytest
from sqlalchemy import make_url
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.api.watching import look
from referral_rewards.domain.payouts.rail_catalogue import OUTSIDE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.restores.mark import Mark, Newest, Record
from referral_rewards.register.restores import mark as marks
from referral_rewards.temporal import kept_mark
from tests.patience import PATIENCE_SECONDS
from tests.rails.sending import Sending
from tests.restores.registers import Restored
from tests.snapshots import administer
from tests.workflows.scenes import sql
from worker.marking import Marking

HALTED: Final = "SELECT rail FROM restored_rail WHERE reopened_at IS NULL ORDER BY rail"


@dataclass
class Keeping:
    """A worker that serves the mark's workflow, and the means to watch a register by it."""

    both: Restored
    environment: WorkflowEnvironment
    name: str

    def marking(self, register: Sending) -> Marking:
        life = register.life
        return Marking(life.database, self.environment.client, f"{life.queue}-payouts", name=self.name)

    @property
    def handle(self) -> WorkflowHandle[object, None]:
        return self.environment.client.get_workflow_handle(self.name)

    async def kept(self, wanted: Callable[[Mark | None], bool]) -> Mark | None:
        """What Temporal keeps, once it is what is waited for."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if wanted(kept := await kept_mark(self.environment.client, self.name)):
                    return kept
                await asyncio.sleep(0.05)

    async def of(self, register: Sending) -> Mark:
        async with register.life.database.transaction() as connection:
            return await marks.newest(connection, datetime.now(UTC))

    async def keeps(self, register: Sending) -> Mark | None:
        """The mark, once it is that of the register."""
        wanted = await self.of(register)
        return await self.kept(lambda kept: kept is not None and kept.newest == wanted.newest)


@pytest.fixture
async def keeping(transfer: Restored, temporal_env: WorkflowEnvironment) -> AsyncIterator[Keeping]:
    its = Keeping(transfer, temporal_env, f"register-mark-{uuid4().hex}")
    async with transfer.before.life.payouts_worker():
        yield its
        with suppress(RPCError):
            await its.handle.terminate()


async def test_a_register_without_a_mark_takes_one_and_halts_nothing(keeping: Keeping) -> None:
    """Also after Temporal was lost."""
    register = keeping.both.after
    assert await kept_mark(keeping.environment.client, keeping.name) is None
    await keeping.marking(register).turn()
    assert await keeping.keeps(register) is not None
    assert await sql(register.life, HALTED) == []


async def test_the_mark_follows_what_is_paid(keeping: Keeping) -> None:
    register = keeping.both.before
    await keeping.marking(register).turn()
    first = await keeping.keeps(register)
    assert (await register.step()).state == PayoutState.SETTLED
    await keeping.marking(register).turn()
    second = await keeping.keeps(register)
    assert first is not None
    assert second is not None
    assert second.newest[Record.PAYOUT_STEPS].number > first.newest[Record.PAYOUT_STEPS].number
    assert second.since == first.since


async def test_a_process_that_starts_on_a_restored_register_halts_every_outside_rail(keeping: Keeping) -> None:
    before, after = keeping.both.before, keeping.both.after
    assert (await before.step()).state == PayoutState.SETTLED
    await keeping.marking(before).turn()
    await keeping.keeps(before)
    starts = keeping.marking(after)
    await starts.turn()
    assert {row.rail for row in await sql(after.life, HALTED)} == OUTSIDE
    # From now on the mark is that of the restored register, which can be restored again.
    kept = await keeping.keeps(after)
    assert kept is not None
    assert kept.restores == 1
    await keeping.marking(after).turn()
    assert [row.number for row in await sql(after.life, "SELECT number FROM register_restore")] == [1]


async def test_the_api_finds_a_restored_register_while_no_worker_watches(keeping: Keeping) -> None:
    before, after = keeping.both.before, keeping.both.after
    client = keeping.environment.client
    assert not await look(after.life.database, client, keeping.name)
    assert (await before.step()).state == PayoutState.SETTLED
    await keeping.marking(before).turn()
    await keeping.keeps(before)
    assert not await look(before.life.database, client, keeping.name)
    assert await look(after.life.database, client, keeping.name)
    assert {row.rail for row in await sql(after.life, HALTED)} == OUTSIDE
    assert not await look(after.life.database, client, keeping.name)


async def test_a_mark_from_before_changes_nothing(keeping: Keeping) -> None:
    """Temporal was restored, or a failover left the register whole."""
    register = keeping.both.before
    await keeping.marking(register).turn()
    await keeping.keeps(register)
    assert (await register.step()).state == PayoutState.SETTLED
    await keeping.marking(register).turn()
    assert await sql(register.life, HALTED) == []
    await keeping.keeps(register)


async def test_nothing_but_a_higher_mark_changes_the_mark(keeping: Keeping) -> None:
    register = keeping.both.before
    await keeping.marking(register).turn()
    kept = await keeping.keeps(register)
    assert kept is not None
    for told in ([], [None], ["nonsense"], [{"restores": 7}], [kept, kept], [_lower(kept)]):
        await keeping.handle.signal("raise_to", args=told)
    higher = replace(kept, newest={**kept.newest, Record.POSTINGS: Newest(10**9, "h")})
    await keeping.handle.signal("raise_to", higher)
    assert await keeping.kept(lambda each: each != kept) == higher
    assert await keeping.handle.query("kept", result_type=Mark) == higher


async def test_the_mark_outlives_the_run_that_keeps_it(keeping: Keeping) -> None:
    register = keeping.both.before
    await keeping.marking(register).turn()
    kept = await keeping.keeps(register)
    first = (await keeping.handle.describe()).run_id
    await asyncio.gather(*(keeping.handle.signal("raise_to", None) for _ in range(200)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await keeping.handle.describe()).run_id == first:
            await asyncio.sleep(0.05)
    assert await kept_mark(keeping.environment.client, keeping.name) == kept


async def test_a_database_that_is_exchanged_under_a_worker_pays_nothing(keeping: Keeping, postgres_url: str) -> None:
    """Before the next look at the mark: a connection to the restored one is a new connection."""
    before, after = keeping.both.before, keeping.both.after
    marking = keeping.marking(before)
    await marking.turn()
    # What is paid since stands in no mark yet; this process saw it.
    assert (await before.step()).state == PayoutState.SETTLED
    await marking.turn()
    async with before.life.database.transaction() as connection:
        assert await marking.is_whole(connection)
    old = make_url(before.life.database._engine.url).database
    restored = make_url(after.life.database._engine.url).database
    await after.life.database.close()
    await administer(postgres_url, f"DROP DATABASE {old} WITH (FORCE)")
    await administer(postgres_url, f"CREATE DATABASE {old} TEMPLATE {restored}")
    async with before.life.database.transaction() as connection:
        assert not await marking.is_whole(connection)
    await marking.turn()
    assert {row.rail for row in await sql(before.life, HALTED)} == OUTSIDE
    async with before.life.database.transaction() as connection:
        assert await marking.is_whole(connection)


def _lower(kept: Mark) -> Mark:
    return replace(
        kept,
        newest={record: Newest(each.number - 1, each.hash) for record, each in kept.newest.items()},
        since=kept.since + timedelta(days=1),
    )
