"""The measuring: keeps the sums of the measures up to date with what changes in the register."""

from datetime import UTC, datetime
from typing import Final

from models.session import Database
from referral_rewards.register.measures import keeping

#: Seconds between two looks for referrals that changed. Nobody waits: what is read is corrected for them.
_PAUSE: Final = 5.0


class Measuring:
    """Several may run: each waits for the one that is at work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def turn(self) -> float:
        """Measure a batch of the referrals that changed, and return the seconds until the next turn."""
        taken = await self._database.write(keeping.catch_up, datetime.now(UTC))
        return 0.0 if taken >= keeping.BATCH else _PAUSE
