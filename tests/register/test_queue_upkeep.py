"""Whoever changes what waits for a person finds the queue kept at the commit, without having called for it."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

from models import metadata
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.claims import reservations
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts import sending
from referral_rewards.register.queue import projection, upkeep
from referral_rewards.register.referrals import rows as referrals
from tests.desk import Desk, desk_after
from tests.oracle_of_queue import as_kept, by_reading_everything
from tests.snapshots import Snapshots

#: What the projection reads that only ever changes together with the referral's row: a fact raises its version, and the
#: verdict that follows is written; the name of a customer is one of its keys, the steps are its own history.
_WITH_ITS_ROW = {"fact", "fact_key", "referral_fact", "referral_key", "referral_step"}
#: What it writes.
_ITSELF = {"queue_entry"}
#: Who writes it keeps its entry (`queue.rails`); here only what a settled payout says of it is read.
_KEPT_ELSEWHERE = {"forgotten_payment"}


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, _approved) as opened:
        yield opened


async def _approved(opened: Desk) -> None:
    for name in ("olga", "otto"):
        await opened.add_user(name, Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)
    await opened.referral("a")
    await opened.decide("a", "approve")
    await opened.judge("a")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payout SET state = 'refused', why = 'closed account'",
        "UPDATE payout SET why = 'closed account', state = 'refused'",
        "UPDATE payout AS p SET state = 'refused' FROM leg WHERE leg.id IS NOT NULL",
        "WITH moved AS (UPDATE payout SET state = 'refused' RETURNING id) SELECT id FROM moved",
    ],
)
async def test_what_a_holder_of_the_referral_writes_is_in_the_queue_at_the_commit(desk: Desk, statement: str) -> None:
    async with desk.database.transaction() as connection:
        await referrals.hold(connection, "a")
        await connection.execute(text(statement))
    async with desk.database.transaction() as connection:
        kept = await as_kept(connection)
        assert {each.exception for each in kept} == {"payout_refused"}
        assert [tuple(each) for each in kept] == [tuple(each) for each in await by_reading_everything(connection)]


@pytest.mark.forges
async def test_the_queue_is_kept_once_however_much_was_written_and_not_if_nothing_was(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        payout, *_ = await reservations.payouts_of(connection, "a")
    with _kept(desk) as kept:
        async with desk.database.transaction() as connection:
            await payout_rows.hold(connection, payout.id)
            for state in ("manual_review", "refused", "returned"):
                await referrals.hold(connection, "a")
                await connection.execute(text("UPDATE payout SET state = :state"), {"state": state})
        assert len(kept) == 1
        async with desk.database.transaction() as connection:
            await sending.begin(connection, payout.id, datetime.now(UTC), desk.parts.keys)
            await payout_rows.due(connection, payout.id, datetime.now(UTC), None)
        assert len(kept) == 1


async def test_what_is_taken_back_leaves_the_queue_alone(desk: Desk) -> None:
    with _kept(desk) as kept:
        with suppress(ZeroDivisionError):
            async with desk.database.transaction() as connection:
                await referrals.hold(connection, "a")
                await connection.execute(text("UPDATE payout SET state = 'refused'"))
                raise ZeroDivisionError
        assert kept == []


async def test_a_referral_is_held_in_a_transaction_that_keeps_the_queue_or_not_at_all(database_url: str) -> None:
    another = create_async_engine(database_url)
    try:
        async with another.begin() as connection:
            with pytest.raises(RuntimeError, match="no transaction of a Database"):
                await referrals.hold(connection, "a")
    finally:
        await another.dispose()


def test_all_that_the_projection_reads_is_watched() -> None:
    statement = str(projection._KEEP)
    reads = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z_]+)", statement)) & metadata.tables.keys()
    assert reads == set(upkeep._SOURCES) | _WITH_ITS_ROW | _ITSELF | _KEPT_ELSEWHERE


@pytest.mark.parametrize("table", upkeep._SOURCES)
def test_what_is_watched_is_in_the_tables(table: str) -> None:
    assert upkeep._SOURCES[table] <= set(metadata.tables[table].columns.keys())


@pytest.mark.parametrize(
    ("statement", "changes"),
    [
        ("UPDATE payout SET due_at = :due WHERE id = :id", False),
        ("UPDATE payout SET why = :why WHERE id = :id", False),
        ("UPDATE payout SET first_sent_at = :at,\n  state = CASE state WHEN 'a' THEN 'b' ELSE state END", True),
        ("update Payout set STATE = 'b'", True),
        (
            "UPDATE referral SET claim_version=%(claim_version)s, wake_at=%(wake_at)s WHERE referral.id = %(id)s",
            False,
        ),
        ("UPDATE referral SET judged_version=%(judged_version)s, late_facts=%(late_facts)s", True),
        ("INSERT INTO clawback_case (leg_id) VALUES (:leg)", True),
        ("DELETE FROM payout_leg WHERE payout_id = :payout", True),
        ("SELECT * FROM payout WHERE state = 'approved' FOR UPDATE", False),
        ("INSERT INTO decision (seq) VALUES (1)", False),
        ("INSERT INTO payout_step (payout_id, state) VALUES (:id, 'approved')", False),
        ("INSERT INTO queue_entry (referral_id, status) VALUES (:id, 'approved')", False),
    ],
)
def test_a_statement_changes_the_queue_if_it_writes_what_the_queue_is_made_of(statement: str, changes: bool) -> None:
    assert upkeep.changes_the_queue(statement) is changes


@contextmanager
def _kept(desk: Desk) -> Iterator[list[str]]:
    """The statements that keep the queue, as they are asked of the database."""
    kept: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "INSERT INTO queue_entry" in statement:
            kept.append(statement)

    engine = desk.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield kept
    finally:
        event.remove(engine, "before_cursor_execute", note)
