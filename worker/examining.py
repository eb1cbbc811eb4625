"""The examining: keeps what the examination of paid rewards comes to, for the reports."""

from typing import Final

from models.session import Database
from referral_rewards.audit import keeping
from referral_rewards.audit.loading import Means

#: Seconds between two looks for rewards that were paid. Nobody waits: a report examines the newest by itself.
_PAUSE: Final = 5.0


class Examining:
    """Several may run: each waits for the one that is at work."""

    def __init__(self, database: Database, means: Means) -> None:
        self._database, self._means = database, means

    async def turn(self) -> float:
        """Examine a batch of the referrals of which a reward was paid, and return the seconds until the next turn."""
        taken = await self._database.write(keeping.catch_up, self._means)
        return 0.0 if taken >= keeping.BATCH else _PAUSE
