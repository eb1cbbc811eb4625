"""How far each source was pulled, and how that went: one row for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.register import typed_rows
from referral_rewards.vendors.cursor import Cursor


class _Row(NamedTuple):
    version: int
    since: datetime
    opened_at: datetime | None
    place: str | None


@dataclass(frozen=True, slots=True)
class Pulled:
    """Where the pulling of a source stands. Each change raises ``version``."""

    cursor: Cursor
    version: int


async def begin(
    connection: AsyncConnection, source: str, first: Cursor, kept_since: datetime | None, now: datetime
) -> Pulled:
    """Return where a source stands, ``first`` if it was never pulled.

    What it wants and its vendor forgot meanwhile, all before ``kept_since``, is noted and left out.
    """
    asked = {"source": source, "since": first.since, "kept": kept_since, "now": now}
    row = await typed_rows.read_one(connection, _Row, _BEGIN, asked)
    assert row is not None
    return Pulled(Cursor(row.since, row.opened_at, row.place), row.version)


async def is_still(connection: AsyncConnection, source: str, version: int) -> bool:
    """Return whether nothing moved the cursor, and hold it until the transaction ends."""
    found = await connection.execute(_HOLD, {"source": source})
    return bool(found.scalar_one() == version)


async def move(
    connection: AsyncConnection, source: str, cursor: Cursor, *, new: int, known: int, now: datetime
) -> None:
    """Move the cursor behind a page that is kept in the same transaction. The caller holds it."""
    asked = {"source": source, "now": now, "new": new, "known": known, "done": cursor.opened_at is None}
    await connection.execute(_MOVE, {**asked, **_of(cursor)})


async def trouble(connection: AsyncConnection, source: str, version: int, cursor: Cursor, why: str) -> None:
    """Note why there was no page. The cursor changes only if nothing else moved it."""
    await connection.execute(_TROUBLE, {"source": source, "version": version, "why": why, **_of(cursor)})


async def restart(connection: AsyncConnection, source: str, since: datetime, now: datetime) -> None:
    """Have everything since an instant asked for again."""
    await connection.execute(_RESTART, {"source": source, "since": since, "now": now})


class PullState(NamedTuple):
    """How the pulling of a source goes, for people. ``since``: what happened before is kept."""

    source: str
    since: datetime
    under_way: bool
    begun_at: datetime
    succeeded_at: datetime | None
    problem: str | None
    events_new: int
    events_known: int
    forgotten_since: datetime | None
    forgotten_until: datetime | None


async def states(connection: AsyncConnection) -> Mapping[str, PullState]:
    """Return how the pulling of each source goes, by its name."""
    return {each.source: each for each in await typed_rows.read(connection, PullState, _STATES, {})}


def _of(cursor: Cursor) -> dict[str, object]:
    return {"since": cursor.since, "opened": cursor.opened_at, "place": cursor.place}


# A window is about to be opened that begins before what its vendor still tells.
_IS_FORGOTTEN: Final = "c.opened_at IS NULL AND c.since_at < CAST(:kept AS timestamptz)"
_BEGIN: Final = text(f"""
INSERT INTO source_cursor AS c (source, version, since_at, begun_at, events_new, events_known)
VALUES (:source, 1, CAST(:since AS timestamptz), CAST(:now AS timestamptz), 0, 0)
ON CONFLICT (source) DO UPDATE
SET since_at = CASE WHEN {_IS_FORGOTTEN} THEN CAST(:kept AS timestamptz) ELSE c.since_at END,
    forgotten_since_at = CASE WHEN {_IS_FORGOTTEN} THEN coalesce(c.forgotten_since_at, c.since_at)
                              ELSE c.forgotten_since_at END,
    forgotten_until_at = CASE WHEN {_IS_FORGOTTEN} THEN CAST(:kept AS timestamptz) ELSE c.forgotten_until_at END
RETURNING version, since_at AS since, opened_at, place
""")  # noqa: S608 (a constant of ours)

_HOLD: Final = text("SELECT version FROM source_cursor WHERE source = :source FOR UPDATE")

_MOVE: Final = text("""
UPDATE source_cursor
SET version = version + 1, since_at = CAST(:since AS timestamptz), opened_at = CAST(:opened AS timestamptz),
    place = :place, problem = NULL, events_new = events_new + :new, events_known = events_known + :known,
    succeeded_at = CASE WHEN :done THEN CAST(:now AS timestamptz) ELSE succeeded_at END
WHERE source = :source
""")

_TROUBLE: Final = text("""
UPDATE source_cursor
SET problem = :why,
    opened_at = CASE WHEN version = :version THEN CAST(:opened AS timestamptz) ELSE opened_at END,
    place = CASE WHEN version = :version THEN :place ELSE place END,
    version = version + CASE WHEN version = :version AND place IS DISTINCT FROM :place THEN 1 ELSE 0 END
WHERE source = :source
""")

_RESTART: Final = text("""
INSERT INTO source_cursor AS c (source, version, since_at, begun_at, events_new, events_known)
VALUES (:source, 1, CAST(:since AS timestamptz), CAST(:now AS timestamptz), 0, 0)
ON CONFLICT (source) DO UPDATE
SET version = c.version + 1, since_at = excluded.since_at, opened_at = NULL, place = NULL, problem = NULL,
    forgotten_since_at = NULL, forgotten_until_at = NULL
""")

_STATES: Final = text("""
SELECT source, since_at AS since, opened_at IS NOT NULL AS under_way, begun_at, succeeded_at, problem, events_new,
       events_known, forgotten_since_at AS forgotten_since, forgotten_until_at AS forgotten_until
FROM source_cursor ORDER BY source
""")
