"""Whether a pooler, such as PgBouncer, stands between us and PostgreSQL.

One that pools transactions hands each of them any session. Names of prepared statements are ours for each connection,
and PostgreSQL's for each session: two of our connections both call their first `_pg3_0`. So one would meet a name that
another gave, and in the worst case carry out another's statement. Whoever was not told of the pooler must not begin.
"""

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.errors import Problem


async def problem(database: Database) -> Problem | None:
    """Return what a process was not told; None if nothing unnamed stands between it and PostgreSQL."""
    if database.pooled:
        return None
    async with database.reading() as connection:
        if not await _stands_between(connection):
            return None
    return Problem(
        "REFERRALS_DATABASE_POOLING",
        "a pooler stands before PostgreSQL; set it to transaction, or a statement may be taken for another",
    )


async def _stands_between(connection: AsyncConnection) -> bool:
    """Return whether the session that answers is another than the one that greeted us: a pooler greets with a number
    of its own."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    greeted_by: int = driver.info.backend_pid
    answered_by: int = (await connection.execute(_SESSION)).scalar_one()
    return answered_by != greeted_by


_SESSION: Final = text("SELECT pg_backend_pid()")
