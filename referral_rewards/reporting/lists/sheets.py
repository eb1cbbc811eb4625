"""A list as a file: everything that is filtered, in the order of the list, a page in memory at a time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.money import from_minor
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.shape import as_text, csv_row, instant

_Wanted = TypeVar("_Wanted", bound=Asked)
_Row = TypeVar("_Row")
_PAGE: Final = 500

Cell = str | int | Decimal | datetime | None
"""What stands in a cell of a file; None leaves it empty."""


@dataclass(frozen=True, slots=True)
class Sheet(Generic[_Wanted, _Row]):
    """A list that people page through, sum up and take away as a file of its ``columns``, from the same statements.

    ``place`` is the `after` of the page that follows a row.
    """

    name: str
    page: Callable[[AsyncConnection, _Wanted], Awaitable[Sequence[_Row]]]
    totals: Callable[[AsyncConnection, _Wanted], Awaitable[Totals]]
    place: Callable[[_Row], str]
    columns: Mapping[str, Callable[[_Row], Cell]]

    async def written(self, connection: AsyncConnection, wanted: _Wanted) -> AsyncIterator[str]:
        """Yield the file as CSV: amounts in major units beside their currency, instants in UTC."""
        yield csv_row(*self.columns)
        while True:
            rows = await self.page(connection, _next(wanted))
            yield "".join(row_of(self.columns, row) for row in rows)
            if len(rows) < _PAGE:
                return
            wanted = replace(wanted, after=self.place(rows[-1]))


def amount(minor: int | None, currency: str | None) -> Decimal | None:
    """Return an amount as it stands in a file; None where there is none."""
    return None if minor is None or currency is None else from_minor(minor, currency)


def row_of(columns: Mapping[str, Callable[[_Row], Cell]], row: _Row) -> str:
    """Return a row as a line of CSV: no text that somebody else chose is taken for a formula."""
    return csv_row(*(_cell(column(row)) for column in columns.values()))


def _next(wanted: _Wanted) -> _Wanted:
    return replace(wanted, limit=_PAGE)


def _cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return instant(value) or ""
        case Decimal():
            return f"{value:f}"
        case int():
            return str(value)
        case _:
            return as_text(value)
