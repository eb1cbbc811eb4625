"""A period of days in the books, in UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid


@dataclass(frozen=True, slots=True)
class Span:
    """A period from its first to its last day, both included; None means unbounded."""

    since: date | None = None
    until: date | None = None

    @classmethod
    def of(cls, since: date | None, until: date | None) -> "Span":
        """Return the period between two days.

        Raises:
            RequestInvalid: if it ends before it begins.
        """
        if since is not None and until is not None and until < since:
            raise RequestInvalid(f"{until} is before the start, {since}", "until")
        # No day follows the last one there is, and nothing is posted after it.
        return cls(since, None if until == date.max else until)

    @property
    def begins_at(self) -> datetime | None:
        """The first instant of the period."""
        return None if self.since is None else datetime.combine(self.since, time(), UTC)

    @property
    def ends_before(self) -> datetime | None:
        """The first instant after the period."""
        return None if self.until is None else datetime.combine(self.until + timedelta(days=1), time(), UTC)


async def see_one_moment(connection: AsyncConnection) -> None:
    """Make the transaction read one snapshot of the books. Call it before any other statement."""
    await connection.execute(_ONE_MOMENT)


_ONE_MOMENT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
