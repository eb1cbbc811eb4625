"""Who is woken first: decisions and money, then each program's facts in turn; and how often the sweep wakes."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.register import outbox, overdue
from referral_rewards.register.outbox import WakeupKind

_NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    yield opened
    await opened.close()


async def test_what_people_decide_and_money_come_before_facts_that_came_earlier(database: Database) -> None:
    async with database.transaction() as connection:
        await _facts(connection, big=300)
        await outbox.enqueue(connection, WakeupKind.DECISION, "r1", uuid4())
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, "p1", uuid4())
        found = await outbox.claim(connection, 10)
        assert {each.target for each in found} >= {"r1", "p1"}
        assert len(found) == 10


async def test_of_each_program_as_many_facts_are_taken(database: Database) -> None:
    async with database.transaction() as connection:
        await _facts(connection, big=300, small=300, tiny=2)
        found = await outbox.claim(connection, 90)
        assert Counter(each.target.partition("-")[0] for each in found) == {"big": 30, "small": 30, "tiny": 2}


async def test_one_program_alone_gets_every_turn(database: Database) -> None:
    async with database.transaction() as connection:
        await _facts(connection, big=300)
        assert len(await outbox.claim(connection, 200)) == 200


async def test_facts_wait_while_enough_are_under_way_and_decisions_do_not(database: Database) -> None:
    async with database.transaction() as connection:
        await _facts(connection, big=300, small=300)
        await outbox.enqueue(connection, WakeupKind.DECISION, "r1", uuid4())
        assert [each.target for each in await outbox.claim(connection, 200, in_turn=0)] == ["r1"]
        assert len(await outbox.claim(connection, 200, in_turn=10)) == 1 + 10


async def test_two_relays_never_take_one_wake_up(database: Database) -> None:
    async with database.transaction() as connection:
        await _facts(connection, big=20, small=20)
    async with database.transaction() as one, database.transaction() as other:
        first = await outbox.claim(one, 20)
        second = await outbox.claim(other, 40)
    taken = [each.target for each in (*first, *second)]
    assert len(taken) == len(set(taken)) == 40


async def test_the_sweep_starts_first_and_signals_later_with_pauses_that_double(database: Database) -> None:
    async with database.transaction() as connection:
        await _slept(connection, "r1", _NOW - timedelta(hours=1))
        woken = []
        for minute in range(40):
            await overdue.sweep(connection, _NOW + timedelta(minutes=minute))
            woken += [(minute, kind) for kind in await _delivered(connection)]
    assert woken == [(0, "referral_overdue"), (2, "fact"), (6, "fact"), (14, "fact"), (30, "fact")]


async def test_the_most_overdue_are_woken_first(database: Database) -> None:
    async with database.transaction() as connection:
        for hours in (1, 3, 2):
            await _slept(connection, f"r{hours}", _NOW - timedelta(hours=hours))
        await overdue.sweep(connection, _NOW, limit=2)
        found = await connection.execute(text("SELECT target FROM outbox ORDER BY target"))
        assert found.scalars().all() == ["r2", "r3"]


async def test_who_caught_up_begins_anew_when_it_is_late_again(database: Database) -> None:
    async with database.transaction() as connection:
        await _slept(connection, "r1", _NOW - timedelta(hours=1))
        await overdue.sweep(connection, _NOW)
        assert await _delivered(connection) == ["referral_overdue"]
        await connection.execute(text("UPDATE referral SET wake_at = :at"), {"at": _NOW + timedelta(hours=1)})
        await overdue.sweep(connection, _NOW + timedelta(minutes=1))
        assert await _delivered(connection) == []
        await overdue.sweep(connection, _NOW + timedelta(hours=2))
        assert await _delivered(connection) == ["referral_overdue"]


async def test_the_lag_is_what_waits_since_when_and_what_is_overdue(database: Database) -> None:
    async with database.transaction() as connection:
        assert await overdue.lag(connection, _NOW) == overdue.Lag(0, 0.0, 0.0, 0)
        await _slept(connection, "r1", _NOW - timedelta(minutes=3))
        await _slept(connection, "r2", _NOW - timedelta(minutes=1))
        await outbox.enqueue_newest_fact(connection, ["r1", "r2"])
        await connection.execute(text("UPDATE outbox SET created_at = :at"), {"at": _NOW - timedelta(seconds=90)})
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, "p1", uuid4())
        await connection.execute(
            text("UPDATE outbox SET created_at = :at WHERE target = 'p1'"), {"at": _NOW - timedelta(seconds=4)}
        )
        await connection.execute(text("DELETE FROM to_judge"))
        assert await overdue.lag(connection, _NOW) == overdue.Lag(3, 4.0, 90.0, 1)


async def _facts(connection: AsyncConnection, **programs: int) -> None:
    """News of facts for so many referrals of each program."""
    for program, count in programs.items():
        names = [f"{program}-{number}" for number in range(count)]
        await _referrals(connection, program, names)
        await outbox.enqueue_newest_fact(connection, names)


async def _slept(connection: AsyncConnection, name: str, wake_at: datetime) -> None:
    """A referral that should have been judged at that moment."""
    await _referrals(connection, "acme", [name])
    await connection.execute(
        text("UPDATE referral SET judged_version = facts_version, wake_at = :at WHERE id = :name"),
        {"name": name, "at": wake_at},
    )


async def _referrals(connection: AsyncConnection, program: str, names: list[str]) -> None:
    await connection.execute(text("SET LOCAL session_replication_role = replica"))
    await connection.execute(_REFERRALS, {"program": program, "names": names, "now": _NOW})


async def _delivered(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(text("DELETE FROM outbox RETURNING kind"))).scalars())


_REFERRALS = text("""
WITH its AS (SELECT unnest(CAST(:names AS text[])) AS name), told AS (
    INSERT INTO referral_fact (referral_id, fact_id, version) SELECT name, md5(name)::uuid, 1 FROM its
)
INSERT INTO referral (id, program, origin_rank, began_at, origin_source, origin_event, facts_version, judged_version,
                      told_at, round, claim_version, late_facts)
SELECT name, :program, 0, :now, 'crm', name, 1, 0, :now, 1, 0, 0 FROM its
""")
