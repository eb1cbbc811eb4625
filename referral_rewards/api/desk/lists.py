"""Lists of the desk: which rows of how many a page shows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from referral_rewards.reporting.counting import Count

Start = Annotated[int, Query(ge=1, le=1_000_000_000)]
"""The number of the first row of a page, which the link to it says."""


@dataclass(frozen=True, slots=True)
class Counted:
    """So many rows of a list from ``first`` on; ``total`` is None where nobody counts them all."""

    first: int
    number: int
    total: Count | None

    @property
    def following(self) -> int:
        """The number of the first row of the next page."""
        return self.first + self.number

    def __str__(self) -> str:
        """``1–50 of 163``."""
        last = self.first + self.number - 1
        rows = f"{self.first:,}" if self.number == 1 else f"{self.first:,}–{last:,}"
        return rows if self.total is None else f"{rows} of {self.total}"


async def counted(first: int, number: int, *, more: bool, total: Callable[[], Awaitable[Count]]) -> Counted:
    """What a page shows of a list. All are counted only where there are ``more`` rows: else the last one says it."""
    return Counted(first, number, await total() if more else Count(count=first + number - 1, at_least=False))
