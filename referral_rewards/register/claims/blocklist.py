"""The blocklist: identities, devices and payment instruments that are no longer trusted, stored only as marks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import NotFound
from referral_rewards.register import audit, typed_rows


async def add(connection: AsyncConnection, marks: Collection[str], *, why: str, by: str, at: datetime) -> int:
    """Block the marks and return how many are new. A mark already blocked keeps its first reason, date and user."""
    rows = await connection.execute(_ADD, {"marks": sorted(marks), "why": why, "by": by, "at": at})
    added = sorted(rows.scalars())
    if added:
        await audit.note(connection, actor=by, act="blocklist.extended", subject="blocklist", at=at, marks=added)
    return len(added)


async def remove(connection: AsyncConnection, marks: Collection[str], *, by: str, at: datetime) -> None:
    """Remove the marks from the list.

    Raises:
        NotFound: if one of them is not listed; then none is removed.
    """
    if missing := set(marks) - await among(connection, marks):
        raise NotFound("blocked mark", min(missing))
    await connection.execute(_REMOVE, {"marks": sorted(marks)})
    await audit.note(connection, actor=by, act="blocklist.shortened", subject="blocklist", at=at, marks=sorted(marks))


async def among(connection: AsyncConnection, marks: Collection[str]) -> frozenset[str]:
    """Return those of the marks that are blocked."""
    return frozenset((await connection.execute(_AMONG, {"marks": sorted(marks)})).scalars())


class BlockedMark(NamedTuple):
    """A blocked mark: who blocked it when, and why."""

    mark: str
    why: str
    blocked_at: datetime
    blocked_by: str


async def listing(connection: AsyncConnection) -> Sequence[BlockedMark]:
    """Return every blocked mark, newest first."""
    return await typed_rows.read(connection, BlockedMark, _LISTING)


_ADD: Final = text("""
INSERT INTO blocked_mark (mark, why, blocked_at, blocked_by)
SELECT mark, :why, :at, :by FROM unnest(CAST(:marks AS text[])) AS told(mark)
ON CONFLICT DO NOTHING RETURNING mark
""")

_REMOVE: Final = text("DELETE FROM blocked_mark WHERE mark = ANY(CAST(:marks AS text[]))")

_AMONG: Final = text("SELECT mark FROM blocked_mark WHERE mark = ANY(CAST(:marks AS text[]))")

_LISTING: Final = text("SELECT mark, why, blocked_at, blocked_by FROM blocked_mark ORDER BY blocked_at DESC, mark")
