"""The erasing of persons that waited: tried again until nothing of theirs is open."""

from datetime import UTC, datetime
from typing import Final

from models.session import Database
from referral_rewards.register.persons import erasing

#: Seconds between two rounds. A claim or payment ends in its own time, and nobody waits for a minute.
_PAUSE: Final = 60.0


class Erasing:
    """Several may run: each takes another one. A round is over when all were tried since it began."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._round = datetime.now(UTC)

    async def turn(self) -> float:
        """Try one erasing that waits, and return the seconds until the next turn."""
        if await self._database.write(erasing.go_on, self._round):
            return 0.0
        self._round = datetime.now(UTC)
        return _PAUSE
