"""Reads a list from PostgreSQL: a page of it in one of its orders, and what it comes to over all that is filtered.

A list declares its filters and orders as SQL, each with an index. A statement holds only the filters in use, so that
PostgreSQL plans for those. Pages are found by the place of the last row of the page before, never by counting rows.

A total is exact or not told at all: it reads at most ``totalled_max`` rows that match, and where more do, somebody
chooses fewer days first. So a page costs much the same whether the register holds a thousand rows or a million.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.shape import Count, Shape

TOTALLED_MAX: Final = 100_000

Given = Mapping[str, object]
"""The values of a list's own filters, by name; None and the empty text are no filter."""


class Total(Shape):
    """What the rows of one currency come to: how many they are, and each sum in minor units, by its name."""

    currency: str
    rows: int
    sums_minor: dict[str, int]


class Totals(Shape):
    """What a list comes to over all that its filters leave, currency by currency: currencies are never added up.

    ``by_currency`` is null where more rows match than are added up; ``count`` then says ``at_least``. A row without an
    amount counts in ``count`` alone.
    """

    count: Count
    by_currency: tuple[Total, ...] | None


class Order(NamedTuple):
    """An order of a list: the columns to compare, of which the last is the id, and whether from the highest down."""

    columns: tuple[str, ...]
    down: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """How a list is read. All of its SQL is ours; what people ask for are parameters.

    ``found`` is the table with its alias, and whatever the filters and orders need joined to it; ``id`` its key, of the
    type ``id_type``; ``dated`` the column that days are compared with: a day itself where the list goes ``by_day``,
    else an instant. The first of ``orders`` is the usual one. ``currency`` and ``sums`` are columns of what is
    totalled, ``totalled`` what they need beside ``found``.
    """

    found: str
    id: str
    id_type: str
    dated: str
    filters: Mapping[str, str]
    orders: Mapping[str, Order]
    currency: str
    sums: Mapping[str, str]
    totalled: str = ""
    always: str = "true"
    totalled_max: int = TOTALLED_MAX
    by_day: bool = False

    def order(self, asked: Asked) -> Order:
        """Return the order that is asked for.

        Raises:
            RequestInvalid: if the list has no such order.
        """
        if not asked.sort:
            return next(iter(self.orders.values()))
        if asked.sort not in self.orders:
            raise RequestInvalid(none_of(asked.sort, self.orders), "sort")
        return self.orders[asked.sort]

    def conditions(self, asked: Asked, given: Given) -> Iterator[str]:
        """Yield the conditions that a row has to meet, the place of the page aside."""
        yield self.always
        yield from (f"({self.filters[name]})" for name in _used(given))
        if asked.days.start is not None:
            yield f"{self.dated} >= :begins"
        if asked.days.end is not None:
            yield f"{self.dated} < :ends"

    def page(self, columns: str, beside: str, asked: Asked, given: Given) -> tuple[TextClause, dict[str, object]]:
        """Return the statement for a page with these columns, and its parameters; ``beside`` is joined to what is found
        for the columns alone.

        Raises:
            RequestInvalid: if the list has no such order.
        """
        order = self.order(asked)
        where = list(self.conditions(asked, given))
        if asked.after is not None:
            where.append(self._beyond(order))
        by = ", ".join(f"{column} {'DESC' if order.down else 'ASC'}" for column in order.columns)
        # A literal limit: PostgreSQL plans a parameter as if it asked for a tenth of all rows.
        statement = f"SELECT {columns} FROM {self.found} {beside} WHERE {_all(where)} ORDER BY {by} LIMIT {asked.limit}"  # noqa: S608 (SQL of ours)
        parameters = self.parameters(asked, given) | ({} if asked.after is None else {"after": asked.after})
        return text(statement), parameters

    def _beyond(self, order: Order) -> str:
        place = ", ".join(
            f"(SELECT {column} FROM {self.found} WHERE {self.id} = CAST(:after AS {self.id_type}))"  # noqa: S608 (SQL of ours)
            for column in order.columns
        )
        return f"({', '.join(order.columns)}) {'<' if order.down else '>'} ({place})"

    def parameters(self, asked: Asked, given: Given) -> dict[str, object]:
        """Return the values that the conditions compare with."""
        days = asked.days if self.by_day else (asked.begins_at, asked.ends_at)
        bounds = dict(zip(("begins", "ends"), days, strict=True))
        return {name: value for name, value in {**given, **bounds}.items() if _is_used(value)}

    async def totals(self, connection: AsyncConnection, asked: Asked, given: Given) -> Totals:
        """Return what all rows that match come to, whichever page is shown."""
        found = await connection.execute(text(self._adding(asked, given)), self.parameters(asked, given))
        rows = [(row["currency"], row["rows"], {name: row[name] for name in self.sums}) for row in found.mappings()]
        return totals_of(rows, self.totalled_max)

    def _adding(self, asked: Asked, given: Given) -> str:
        columns = [f"{self.currency} AS currency", *(f"{sql} AS {name}" for name, sql in self.sums.items())]
        sums = ["currency", "count(*) AS rows"]
        sums += [f"CAST(coalesce(sum({name}), 0) AS bigint) AS {name}" for name in self.sums]
        return f"""
        SELECT {", ".join(sums)} FROM (
            SELECT {", ".join(columns)} FROM {self.found} {self.totalled}
            WHERE {_all(self.conditions(asked, given))} ORDER BY {self.dated} LIMIT {self.totalled_max + 1}
        ) AS its GROUP BY currency ORDER BY currency
        """  # noqa: S608 (SQL of ours)


def totals_of(rows: Sequence[tuple[str | None, int, dict[str, int]]], at_most: int) -> Totals:
    """Return the totals from the sums of each currency, of which None holds what has no amount."""
    counted = sum(number for _, number, _ in rows)
    by_currency = tuple(
        Total(currency=currency, rows=number, sums_minor=sums)
        for currency, number, sums in rows
        if currency is not None
    )
    return Totals(
        count=Count(count=min(counted, at_most), at_least=counted > at_most),
        by_currency=None if counted > at_most else by_currency,
    )


def _used(given: Given) -> Iterator[str]:
    return (name for name, value in given.items() if _is_used(value))


def _is_used(value: object) -> bool:
    return value is not None and value != ""


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions)
