"""A worker looks at its clock before it serves anything, and then again and again: with a wrong one it ends."""

from datetime import UTC, datetime
from typing import Final

from models.session import Database
from referral_rewards.register import clocks
from worker.side_tasks import Turn

_LOOK_SECONDS: Final = 10.0


async def look_at_the_clock(database: Database) -> None:
    """Return if this process's clock agrees with the database's.

    Raises:
        ClocksApart: if it does not.
    """
    async with database.reading() as connection:
        await clocks.need_the_same(connection, datetime.now(UTC))


def clock_watch(database: Database) -> Turn:
    """Return the side task that looks every ten seconds. It ends with `ClocksApart`, and the worker with it."""

    async def turn() -> float:
        await look_at_the_clock(database)
        return _LOOK_SECONDS

    return turn
