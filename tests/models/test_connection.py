"""A text that goes straight to the driver finds and raises what it does on SQLAlchemy's own way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from models import checkout
from models.session import Database
from models.statuses import statement
from referral_rewards.domain.payouts.states import PayoutState

_VALUES = text("""
SELECT :word AS word, CAST(:none AS text) AS none, CAST(:id AS uuid) AS id, CAST(:at AS timestamptz) AS at,
       CAST(:names AS text[]) AS names, '{"a": [1]}'::jsonb AS document, '5%' AS share, :word || '!' AS louder
""")
_GIVEN = {
    "word": PayoutState.SETTLED,
    "none": None,
    "id": UUID(int=7),
    "at": datetime(2026, 6, 1, 12, tzinfo=UTC),
    "names": ["brie", "dexter"],
    "left over": 1,
}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url, pool_size=1)
    yield opened
    await opened.close()


async def _by_sqlalchemy(connection: AsyncConnection) -> None:
    """From now on somebody listens, so each statement of this connection's engine goes through SQLAlchemy."""
    event.listen(connection.sync_engine, "before_cursor_execute", lambda *_: None)


async def test_both_ways_find_the_same_rows(database: Database) -> None:
    async with database.transaction() as connection:
        straight = (await connection.execute(_VALUES, _GIVEN)).one()
        await _by_sqlalchemy(connection)
        assert straight == (await connection.execute(_VALUES, _GIVEN)).one()
    assert straight.louder == "settled!"
    assert straight._mapping["share"] == "5%"


async def test_a_text_that_brings_its_statuses_sends_them(database: Database) -> None:
    bound = statement("SELECT CAST(:n AS int) AS n WHERE :state = ANY(:unsent)", state="a", unsent=["b", "a"])
    async with database.transaction() as connection:
        assert (await connection.execute(bound, {"n": 3})).scalars().all() == [3]


async def test_a_value_that_sqlalchemy_converts_is_converted(database: Database) -> None:
    typed = text("SELECT :document ->> 'a'").bindparams(bindparam("document", type_=JSONB()))
    async with database.transaction() as connection:
        assert (await connection.execute(typed, {"document": {"a": "b"}})).scalar_one() == "b"


async def test_a_statement_that_returns_nothing_says_how_many_rows_it_changed(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE pair (n int)"))
        added = await connection.execute(text("INSERT INTO pair VALUES (1), (2)"))
        assert (added.rowcount, added.returns_rows) == (2, False)
        assert (await connection.execute(text("SELECT n FROM pair"))).returns_rows


async def test_a_refusal_is_sqlalchemys_and_keeps_its_values_to_itself(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE person (name text CONSTRAINT never CHECK (name <> 'brie'))"))
    with pytest.raises(IntegrityError) as refused:
        async with database.transaction() as connection:
            await connection.execute(text("INSERT INTO person VALUES (:name)"), {"name": "brie"})
    assert refused.value.orig.diag.constraint_name == "never"  # type: ignore[union-attr]
    assert "parameters" not in str(refused.value)
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM person"))).scalar_one() == 0


async def test_a_connection_that_its_server_ended_is_given_up(database: Database) -> None:
    with pytest.raises(OperationalError) as ended:
        async with database.transaction() as connection:
            await connection.execute(_END_IT)
    assert ended.value.connection_invalidated
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    assert database.connections_opened == 2


@pytest.mark.parametrize("told_by", ["its socket", "asking it"])
async def test_a_connection_that_ended_while_idle_is_replaced_before_its_use(
    database: Database, told_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told_by == "asking it":  # as where something on the way dropped it without a word, a while ago
        monkeypatch.setattr(checkout, "_was_closed", lambda _: False)
        monkeypatch.setattr(checkout, "_TRUSTED_SECONDS", -1.0)
    async with database.reading() as connection:
        its = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    beside = database.apart()
    try:
        async with beside.transaction() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": its})
    finally:
        await beside.close()
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one() != its


async def test_whoever_is_cancelled_within_a_statement_leaves_no_connection_in_it(database: Database) -> None:
    begun = asyncio.Event()

    async def waiting() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("SELECT 1"))
            begun.set()
            await connection.execute(text("SELECT pg_sleep(60)"))

    waits = asyncio.create_task(waiting())
    await begun.wait()
    await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_what_is_asked_for_and_not_given_is_an_error(database: Database) -> None:
    with pytest.raises(StatementError):
        async with database.transaction() as connection:
            await connection.execute(text("SELECT :missing"), {"other": 1})


_END_IT = text("SELECT pg_terminate_backend(pg_backend_pid())")
