"""Two senders of one fact at the same moment: it is stored once, and whoever contradicts it hears so."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.register.facts.intake import Intake, Recorded
from tests.installation import PEPPER

NOW = datetime(2026, 6, 1, tzinfo=UTC)
INTAKE = Intake(PEPPER)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    yield opened
    await opened.close()


def _fact(data: Mapping[str, Any]) -> Event:
    said = {"specversion": "1.0", "id": "f1", "source": "shop", "type": "payee.method_removed"}
    return parse_event({**said, "time": NOW.isoformat(), "data": data})


def _locks(event: Event) -> set[int]:
    return set(keys.locks(keys.file(event, frozenset()).keys))


FACT = _fact({"payee": "dexter", "rail": "manual"})
OF_OTHER_KEYS = _fact({"payee": "mallory", "rail": "manual"})


@pytest.mark.parametrize(
    ("other", "repeated", "conflicts"),
    [(FACT, 1, ()), (OF_OTHER_KEYS, 0, (OF_OTHER_KEYS,))],
    ids=["the same", "another under its name"],
)
async def test_a_fact_recorded_meanwhile_is_a_repeat_or_a_conflict(
    database: Database, other: Event, repeated: int, conflicts: tuple[Event, ...]
) -> None:
    """Facts that contradict each other can have different keys: then their locks do not keep them apart."""
    assert other is FACT or not _locks(FACT) & _locks(other)

    async def second() -> Recorded:
        async with database.transaction() as connection:
            return await INTAKE.record(connection, [other], received_at=NOW)

    async with database.transaction() as connection:
        await INTAKE.record(connection, [FACT], received_at=NOW)
        coming = asyncio.create_task(second())
        while not (await connection.execute(_WAITING)).scalar_one():
            await asyncio.sleep(0)

    found = await coming
    assert (found.new, found.repeated, found.conflicts) == (0, repeated, conflicts)


_WAITING = text(
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database())"
)
