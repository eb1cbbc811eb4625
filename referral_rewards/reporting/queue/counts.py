"""How much waits, counted to a thousand: exact numbers of everything would have every verdict wait for a counter's row,
and nobody works differently with 40,000 claims before them than with 1,000."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.reporting.counting import COUNTED_MAX, Count
from referral_rewards.reporting.shape import Shape

_UP_TO: Final = COUNTED_MAX + 1


class Counts(Shape):
    """The whole queue, whatever the page was asked for: all of it, what is overdue, and by why it waits and by program,
    empty ones left out."""

    all: Count
    overdue: Count
    exceptions: dict[str, Count]
    programs: dict[str, Count]


async def counts(connection: AsyncConnection, now: datetime) -> Counts:
    """The counts of the whole queue at this moment."""
    given: dict[str, Any] = {"now": now, "exceptions": list(Waits)}
    found: dict[str, dict[str, Count]] = {}
    for row in await connection.execute(_COUNTS, given):
        if row.counted or row.name == "":
            found.setdefault(row.by, {})[row.name] = Count.of(row.counted)
    return Counts(
        all=found["all"][""],
        overdue=found["overdue"][""],
        exceptions=found.get("exception", {}),
        programs=found.get("program", {}),
    )


# Each in the whole order of its index and as a range of one value, so that nothing but the entries counted is read; how
# many stands in the statement: PostgreSQL plans one that is prepared as if a tenth of all were asked for.
_COUNTS: Final = text(f"""
SELECT 'all' AS by, '' AS name,
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE since <= :now ORDER BY since LIMIT {_UP_TO}) AS x) AS counted
UNION ALL
SELECT 'overdue', '',
       (SELECT count(*) FROM (
            SELECT 1 FROM queue_entry WHERE remind_at <= :now ORDER BY remind_at LIMIT {_UP_TO}) AS x)
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
