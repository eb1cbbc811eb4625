"""Reports which providers' rails this worker has, so that processes without secrets know which rails can pay."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text

from models.session import Database

_AGAIN_SECONDS: Final = 60.0


class Connections:
    """The rails of a worker by name, each with its mode: live (real money), test or sandbox."""

    def __init__(self, database: Database, rails: Mapping[str, str]) -> None:
        self._database = database
        self._rails = rails

    async def turn(self) -> float:
        """Report the rails and return the seconds until the next report."""
        await self.say(datetime.now(UTC))
        return _AGAIN_SECONDS

    async def say(self, now: datetime) -> None:
        """Record the rails as connected at ``now``."""
        async with self._database.transaction() as connection:
            for rail, mode in self._rails.items():
                await connection.execute(_SAY, {"rail": rail, "mode": mode, "at": now})


_SAY: Final = text("""
INSERT INTO rail_connection (rail, mode, seen_at) VALUES (:rail, :mode, :at)
ON CONFLICT (rail) DO UPDATE SET mode = excluded.mode, seen_at = excluded.seen_at
""")
