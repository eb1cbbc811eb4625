"""How many rows a list has in all, counted to a thousand: nobody pages further, and no large table is read whole."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import TextClause, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.reporting.shape import Shape

COUNTED_MAX: Final = 1_000


class Count(Shape):
    """How many; where `at_least` is true there are more."""

    count: int
    at_least: bool

    @classmethod
    def of(cls, counted: int) -> "Count":
        return cls(count=min(counted, COUNTED_MAX), at_least=counted > COUNTED_MAX)

    def __str__(self) -> str:
        return f"{self.count:,}{'+' if self.at_least else ''}"


async def count(connection: AsyncConnection, page: TextClause, asked: Mapping[str, Any]) -> Count:
    """How many rows the statement of a list finds from its beginning: ``asked`` as for a page of it, which begins
    after ``after`` and has at most ``limit`` rows."""
    from_the_beginning = {**asked, "limit": COUNTED_MAX + 1}
    counting = select(func.count()).select_from(page.columns().subquery("found"))
    return Count.of((await connection.execute(counting, from_the_beginning)).scalar_one())
