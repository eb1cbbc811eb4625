"""Files and batches being taken in: their wake-ups are held back until the last line is in, then released together."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

#: The allowance after which a batch that nobody finished is released as it is (SPEC §4, closing).
ABANDONED_AFTER: Final = timedelta(hours=1)


async def open_batch(connection: AsyncConnection, name: str, at: datetime) -> UUID:
    """Begins a batch, or goes on with the unfinished one of that name (a file's content hash)."""
    return UUID(str((await connection.execute(_OPEN, {"id": uuid4(), "name": name, "at": at})).scalar_one()))


async def finish(connection: AsyncConnection, batch: UUID, at: datetime) -> None:
    """Marks a batch as whole: its facts wait for no stragglers, and its wake-ups go out."""
    await connection.execute(_FINISH, {"id": batch, "at": at})
    await connection.execute(_RELEASE, {"ids": [batch]})


async def release_abandoned(connection: AsyncConnection, now: datetime) -> None:
    """Lets the wake-ups of batches go that were interrupted and not resumed; their facts count as single ones."""
    abandoned = (await connection.execute(_ABANDONED, {"before": now - ABANDONED_AFTER})).scalars().all()
    if abandoned:
        await connection.execute(_RELEASE, {"ids": list(abandoned)})


_OPEN: Final = text("""
INSERT INTO ingest_batch (id, name, opened_at) VALUES (:id, :name, :at)
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
""")

_FINISH: Final = text("UPDATE ingest_batch SET finished_at = :at WHERE id = :id")

_RELEASE: Final = text("UPDATE outbox SET batch_id = NULL WHERE batch_id = ANY(CAST(:ids AS uuid[]))")

_ABANDONED: Final = text("""
SELECT DISTINCT b.id FROM ingest_batch b JOIN outbox o ON o.batch_id = b.id
WHERE b.finished_at IS NULL AND b.opened_at < CAST(:before AS timestamptz)
""")
