"""A transaction that PostgreSQL ends because of a deadlock or a conflict is done again, wherever it was opened."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.inquiries import Inquiries
from activities.messages import JudgeRequest
from activities.referrals import Referrals
from models.session import BeginAgain, Database
from models.unit import Unit
from referral_rewards.domain.facts.events import parse_event
from tests.desk import Desk, life_of
from tests.register.crowd import INTAKE, NOW, Crowd, enrolment, life

DEADLOCK, CONFLICT = "40P01", "40001"
_LOWER, _UPPER = (text(f"UPDATE pair SET n = n + 1 WHERE id = {number}") for number in (1, 2))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def pair(database: Database) -> Database:
    """Two rows, 1 and 2."""
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE pair (id int PRIMARY KEY, n int NOT NULL)"))
        await connection.execute(text("INSERT INTO pair VALUES (1, 0), (2, 0)"))
    return database


async def _counts(database: Database) -> list[int]:
    async with database.reading() as connection:
        return [int(n) for n in (await connection.execute(text("SELECT n FROM pair ORDER BY id"))).scalars()]


async def _until_somebody_waits(database: Database) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    while True:
        async with database.reading() as connection:
            if (await connection.execute(waiting)).scalar_one():
                return


async def test_of_two_in_a_deadlock_the_one_that_is_ended_does_its_work_again(pair: Database) -> None:
    attempts = 0

    async def upper_then_lower(connection: AsyncConnection) -> int:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        await connection.execute(_UPPER)
        if attempts == 1:
            crossing.set()
            await _until_somebody_waits(pair)
        await connection.execute(_LOWER)
        return attempts

    async def lower_then_upper() -> None:
        async with pair.transaction() as connection:
            # It waits for the other to be ended, and is not ended itself.
            await connection.execute(text("SET LOCAL deadlock_timeout = '600s'"))
            await connection.execute(_LOWER)
            held.set()
            await crossing.wait()
            await connection.execute(_UPPER)

    crossing, held = asyncio.Event(), asyncio.Event()
    other = asyncio.create_task(lower_then_upper())
    await held.wait()
    assert await pair.write(upper_then_lower) == 2
    await other
    assert await _counts(pair) == [2, 2]


async def test_what_another_changed_meanwhile_is_read_again(pair: Database) -> None:
    attempts = 0

    async def doubled(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        n = (await connection.execute(text("SELECT n FROM pair WHERE id = 1"))).scalar_one()
        if attempts == 1:
            async with pair.transaction() as other:
                await other.execute(text("UPDATE pair SET n = 20 WHERE id = 1"))
        await connection.execute(text("UPDATE pair SET n = :n WHERE id = 1"), {"n": 2 * n + 2})

    await pair.write(doubled)
    assert (attempts, await _counts(pair)) == (2, [42, 0])


async def test_each_attempt_does_its_own_work_at_the_end_and_only_what_is_committed_stays(pair: Database) -> None:
    attempts = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(_LOWER)
        Unit.of(connection).before_commit("last", last)

    async def last(connection: AsyncConnection) -> None:
        await connection.execute(_UPPER)
        if attempts == 1:
            raise BeginAgain

    await pair.write(work)
    assert (attempts, await _counts(pair)) == (2, [1, 1])


async def test_a_broken_rule_is_not_tried_again(pair: Database) -> None:
    attempts = 0

    async def twice(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("INSERT INTO pair VALUES (1, 0)"))

    with pytest.raises(IntegrityError):
        await pair.write(twice)
    assert attempts == 1


async def test_after_eight_attempts_the_answer_is_passed_on(pair: Database) -> None:
    attempts = 0

    async def never(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{CONFLICT}'; END $$"))

    with pytest.raises(DBAPIError) as answer:
        await pair.write(never)
    assert (attempts, getattr(answer.value.orig, "sqlstate", None)) == (8, CONFLICT)


@pytest.mark.parametrize("statement", [str(_LOWER), "SELECT n FROM pair FOR UPDATE", "SELECT n FROM pair FOR SHARE"])
async def test_what_reads_can_neither_write_nor_lock_a_row(pair: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with pair.reading() as connection:
            await connection.execute(text(statement))
    await pair.write(lambda connection: connection.execute(_LOWER))
    assert await _counts(pair) == [1, 0], "the connection that read is used for writing again"


async def _ends_the_first(database: Database, table: str, sqlstate: str) -> None:
    """Have PostgreSQL end the first transaction that writes to a table. The sequence counts those that tried."""
    async with database.transaction() as connection:
        await connection.execute(text("CREATE SEQUENCE tried"))
        await connection.execute(text("GRANT USAGE ON SEQUENCE tried TO PUBLIC"))
        await connection.execute(
            text(f"""
            CREATE FUNCTION ends_the_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tried') = 1 THEN RAISE 'ended by the test' USING ERRCODE = '{sqlstate}'; END IF;
                RETURN NULL;
            END $$""")
        )
        await connection.execute(
            text(f"""
            CREATE TRIGGER ends_the_first AFTER INSERT OR UPDATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ends_the_first()""")
        )


async def _tried(database: Database) -> int:
    async with database.reading() as connection:
        return int((await connection.execute(text("SELECT last_value FROM tried"))).scalar_one())


@pytest.mark.parametrize("sqlstate", [DEADLOCK, CONFLICT])
async def test_a_token_is_issued_by_the_second_attempt(desk: Desk, sqlstate: str) -> None:
    await _ends_the_first(desk.database, "api_token", sqlstate)
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    new = {"label": "laptop", "scopes": ["claims:read"], "expires_at": ends}
    answer = await desk.api.post("/v1/tokens", json=new, headers=desk.bearer("paula"))
    assert (answer.status_code, await _tried(desk.database)) == (201, 2)
    async with desk.database.reading() as connection:
        issued = text("SELECT count(*) FROM api_token WHERE label = 'laptop'")
        noted = text("SELECT count(*) FROM audit_event WHERE act = 'token.issued'")
        assert [(await connection.execute(each)).scalar_one() for each in (issued, noted)] == [1, 1]


@pytest.mark.parametrize("sqlstate", [DEADLOCK, CONFLICT])
async def test_a_fact_is_acknowledged_by_the_second_attempt(desk: Desk, sqlstate: str) -> None:
    await _ends_the_first(desk.database, "outbox", sqlstate)
    answer = await desk.tell(life_of("r1")[0])
    assert (answer.status_code, answer.json()["recorded"], await _tried(desk.database)) == (202, 1, 2)


@pytest.mark.parametrize("sqlstate", [DEADLOCK, CONFLICT])
async def test_an_activity_judges_by_the_second_attempt_of_its_transaction(database: Database, sqlstate: str) -> None:
    crowd = Crowd(database)
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter"))
    async with database.transaction() as connection:
        facts = [parse_event(each) for each in life("a", "dexter", referee="brie")]
        await INTAKE.record(connection, facts, received_at=NOW)
    await _ends_the_first(database, "referral_step", sqlstate)
    judging = Referrals(database, crowd.keys, Inquiries(database, INTAKE, {}))
    await judging.judge_referral(JudgeRequest(referral="a", now=NOW))
    assert await _tried(database) == 2
    assert await crowd.rows("SELECT count(*) AS steps FROM referral_step WHERE referral_id = 'a'") != []
