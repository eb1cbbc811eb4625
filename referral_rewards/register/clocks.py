"""The database's clock, by which each process checks its own."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import clocks


async def need_the_same(connection: AsyncConnection, now: datetime) -> None:
    """Return if the caller's clock, which says ``now``, agrees with the database's.

    Raises:
        ClocksApart: if it does not.
    """
    clocks.need_the_same(now, (await connection.execute(_NOW)).scalar_one())


_NOW: Final = text("SELECT clock_timestamp()")
