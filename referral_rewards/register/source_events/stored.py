"""Find kept events again: to read them anew, and to show what is connected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.register import typed_rows
from referral_rewards.register.queue.strays import PATIENCE_WITH_EVENTS
from referral_rewards.register.source_events import payloads
from referral_rewards.vendors.port import Told
from referral_rewards.vendors.telling import Outcome


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was kept, as its vendor told it."""

    id: UUID
    event_id: str
    received_at: datetime
    told: Told


async def since(
    connection: AsyncConnection, source: str, begins: datetime | None, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[StoredEvent, ...]:
    """Return kept events of a source in the order in which they came, from ``begins`` on and after a place."""
    at, number = after if after is not None else (begins, None)
    asked = {"source": source, "at": at, "number": number, "limit": limit}
    return await _read(connection, _SINCE, asked)


async def by_name(connection: AsyncConnection, source: str, event_id: str) -> StoredEvent | None:
    """Return the kept event with the id that its vendor gave it."""
    return next(iter(await _read(connection, _BY_NAME, {"source": source, "event_id": event_id})), None)


async def linked(connection: AsyncConnection, source: str, limit: int) -> tuple[StoredEvent, ...]:
    """Return events of which the name that they await is linked by now, and hold them for the caller."""
    return await _read(connection, _LINKED, {"source": source, "limit": limit})


async def _read(
    connection: AsyncConnection, statement: TextClause, asked: Mapping[str, object]
) -> tuple[StoredEvent, ...]:
    """Return the events that a statement finds; those that were erased can't be read any more."""
    return tuple(
        StoredEvent(row.id, row.event_id, row.received_at, payloads.opened(connection, row.id, row.sealed))
        for row in await connection.execute(statement, dict(asked))
    )


class EventCount(NamedTuple):
    """How many events of one source and type had one outcome, and when the newest came. Those that were ignored are
    counted by their reason."""

    source: str
    type: str
    outcome: Outcome
    why: str | None
    events: int
    newest_at: datetime


async def counted(connection: AsyncConnection, now: datetime, days: int) -> Sequence[EventCount]:
    """Return what came in the last days, by source, type and outcome."""
    asked = {"begins": now - timedelta(days=days)}
    return await typed_rows.read(connection, EventCount, _COUNTS, asked)


class StuckEvent(NamedTuple):
    """An event that waits for a person, and why."""

    source: str
    event_id: str
    type: str
    why: str | None
    received_at: datetime


async def stuck(connection: AsyncConnection, source: str | None, now: datetime) -> tuple[StuckEvent, ...]:
    """Return the events that stand before a person, the newest first, at most a hundred."""
    asked = {"source": source, "before": now - PATIENCE_WITH_EVENTS}
    return await typed_rows.read(connection, StuckEvent, _STUCK, asked)


_COLUMNS: Final = "e.id, e.event_id, e.received_at, p.sealed"

_SINCE: Final = text(f"""
SELECT {_COLUMNS} FROM source_event e JOIN source_payload p ON p.event = e.id AND p.sealed IS NOT NULL
WHERE e.source = :source
  AND (CAST(:at AS timestamptz) IS NULL
       OR (CAST(:number AS uuid) IS NULL AND e.received_at >= CAST(:at AS timestamptz))
       OR (e.received_at, e.id) > (CAST(:at AS timestamptz), CAST(:number AS uuid)))
ORDER BY e.received_at, e.id LIMIT :limit
""")  # noqa: S608 (a constant of ours)

_BY_NAME: Final = text(f"""
SELECT {_COLUMNS} FROM source_event e JOIN source_payload p ON p.event = e.id AND p.sealed IS NOT NULL
WHERE e.source = :source AND e.event_id = :event_id
""")  # noqa: S608 (a constant of ours)

_LINKED: Final = text(f"""
SELECT {_COLUMNS}
FROM source_reading r JOIN source_name n ON n.source = r.source AND n.name = r.awaits
JOIN source_event e ON e.id = r.event JOIN source_payload p ON p.event = e.id AND p.sealed IS NOT NULL
WHERE r.source = :source AND r.awaits IS NOT NULL
ORDER BY e.received_at, e.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED
""")  # noqa: S608 (a constant of ours)

_COUNTS: Final = text(
    spelled(
        """
SELECT e.source, e.type, r.outcome, CASE WHEN r.outcome = :ignored THEN r.why END AS why,
  CAST(count(*) AS int) AS events, max(e.received_at) AS newest_at
FROM source_event e JOIN source_reading r ON r.event = e.id
WHERE e.received_at >= CAST(:begins AS timestamptz)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""",
        ignored=Outcome.IGNORED,
    )
)

_STUCK: Final = text(
    spelled(
        """
SELECT r.source, e.event_id, e.type, r.why, e.received_at
FROM source_reading r JOIN source_event e ON e.id = r.event
WHERE (CAST(:source AS text) IS NULL OR r.source = :source)
  AND (r.outcome = :unreadable OR (r.outcome = :waiting AND r.read_at < CAST(:before AS timestamptz)))
ORDER BY e.received_at DESC, e.id LIMIT 100
""",
        unreadable=Outcome.UNREADABLE,
        waiting=Outcome.WAITING,
    )
)
