"""Count the queue, up to a thousand.

Exact counts would make every verdict wait for a counter's row, and 40,000 claims are not worked off differently from
1,000.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.reporting.shape import COUNTED_MAX, Count, Shape

_UP_TO: Final = COUNTED_MAX + 1


class Counts(Shape):
    """Counts of the whole queue, whatever the page's filters: all, overdue, by reason and by program. Zeros are left
    out. ``conflicts`` are the claims to approve whose evidence is in conflict."""

    all: Count
    overdue: Count
    conflicts: Count
    exceptions: dict[str, Count]
    programs: dict[str, Count]


async def counts(connection: AsyncConnection, now: datetime) -> Counts:
    """Return the current counts of the whole queue."""
    given: dict[str, Any] = {"now": now, "exceptions": list(Waits)}
    found: dict[str, dict[str, Count]] = {}
    for row in await connection.execute(_COUNTS, given):
        if row.counted or row.name == "":
            found.setdefault(row.by, {})[row.name] = Count.of(row.counted)
    return Counts(
        all=found["all"][""],
        overdue=found["overdue"][""],
        conflicts=found["conflicts"][""],
        exceptions=found.get("exception", {}),
        programs=found.get("program", {}),
    )


# Each count uses the full order of its index and a range of one value, so that only the counted entries are read. The
# limit is a literal, because PostgreSQL plans a parameter as if it asked for a tenth of all rows.
_COUNTS: Final = text(f"""
SELECT 'all' AS by, '' AS name,
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE since <= :now ORDER BY since LIMIT {_UP_TO}) AS x) AS counted
UNION ALL
SELECT 'overdue', '',
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE remind_at <= :now ORDER BY remind_at LIMIT {_UP_TO}) AS x)
UNION ALL
SELECT 'conflicts', '',
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE flags @> '{{{Flag.EVIDENCE_CONFLICT}}}' AND exception = '{Waits.APPROVAL}'
            ORDER BY since LIMIT {_UP_TO}) AS x)
UNION ALL
SELECT 'exception', name,
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE exception >= asked.name AND exception <= asked.name AND since <= :now
            ORDER BY exception, since LIMIT {_UP_TO}) AS x)
FROM unnest(CAST(:exceptions AS text[])) AS asked(name)
UNION ALL
SELECT 'program', program,
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE program >= asked.program AND program <= asked.program AND since <= :now
            ORDER BY program, since LIMIT {_UP_TO}) AS x)
FROM (SELECT DISTINCT program FROM program_version ORDER BY program LIMIT 100) AS asked
""")  # noqa: S608 (a constant of ours)
