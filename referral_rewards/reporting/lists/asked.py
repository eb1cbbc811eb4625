"""What can be asked of every list: which days, in which order, from where on, and how many rows."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import calendar
from referral_rewards.domain.measures.measures import Days
from referral_rewards.register import programs

UTC_ZONE: Final = "UTC"
ALL_DAYS: Final = Days()
#: Nothing of ours is dated before the one, or after the other.
_EARLIEST: Final = date(1970, 1, 1)
_LATEST: Final = date(2999, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list is asked for beside its own filters.

    ``days`` are those of the calendar of ``zone``. ``sort`` is the name of one of the list's orders, empty for its
    first one. ``after`` is the id of the last row of the page before.
    """

    days: Days = ALL_DAYS
    zone: str = UTC_ZONE
    sort: str = ""
    after: str | None = None
    limit: int = 100

    @property
    def begins_at(self) -> datetime | None:
        """The first instant of the days; None where they have no beginning."""
        return self._midnight(self.days.start)

    @property
    def ends_at(self) -> datetime | None:
        """The first instant after the days; None where they have no end."""
        return self._midnight(self.days.end)

    def _midnight(self, day: date | None) -> datetime | None:
        if day is None:
            return None
        return calendar.at_wall_clock(min(max(day, _EARLIEST), _LATEST), time(), calendar.zone(self.zone))


async def zone_of(connection: AsyncConnection, program: str | None) -> str:
    """Return the zone whose days a list is asked for: that of the one program it is of, else UTC."""
    zone = (await programs.zones(connection)).get(program) if program else None
    return UTC_ZONE if zone is None else zone.key
