"""The removal of erased persons' marks, once a day for each."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from models.session import Database
from referral_rewards.domain.persons.retention import Retention
from referral_rewards.register.persons import retaining

_log = structlog.get_logger("worker")

#: How often each erasing is looked at. A retention is counted in days.
_EVERY: Final = timedelta(days=1)
#: Seconds between two looks for what was not looked at for so long.
_PAUSE: Final = 600.0


class Retaining:
    """Several may run: each takes another erasing. What was interrupted is looked at again."""

    def __init__(self, database: Database, retention: Retention) -> None:
        self._database, self._retention = database, retention

    async def turn(self) -> float:
        """Look at one erasing, and return the seconds until the next turn."""
        now = datetime.now(UTC)
        looked = await self._database.write(retaining.go_on, self._retention, now - _EVERY, now)
        if looked is None:
            return _PAUSE
        if looked.facts:
            _log.info("marks_removed", erasure=str(looked.erasure), facts=looked.facts)
        return 0.0
