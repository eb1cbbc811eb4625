"""Search a page of the queue, reading a bounded number of rows for any size of the queue and any filters.

Every filter has an index, but no index covers every combination of filters in every order. So the search first counts,
up to a thousand, whether one filter alone leaves few entries. If so, it reads these and applies the other filters to
them. If not, it reads the list in order, a stretch at a time, and skips entries that do not match. If that takes too
long, the page ends early and the next one continues there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.waiting import Sort
from referral_rewards.reporting.queue.conditions import (
    BEGUN,
    BY_AGE,
    ENTRY,
    Asking,
    Condition,
    conditions_of,
    values_of,
)
from referral_rewards.reporting.queue.filters import Filters, cursor, place_of

FEW: Final = 1_000
#: The first stretch is about as long as the page, and they grow to this length; a page reads at most so many stretches.
_STRETCH_MAX: Final = 2_000
_STRETCHES_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """The keys of a page's entries (referral, exception, subject), and the cursor of the next page; None at the end.

    ``early``: the page ended before it was full, because too many entries were skipped.
    """

    keys: tuple[tuple[str, str, str], ...]
    next: str | None
    early: bool = False


#: The columns of each order, and whether it is descending.
_ORDERS: Final[dict[Sort, tuple[str, bool]]] = {
    Sort.OLDEST: (BY_AGE, False),
    Sort.NEWEST: (BY_AGE, True),
    Sort.AMOUNT_HIGH: (f"currency, amount_minor, {ENTRY}", True),
    Sort.AMOUNT_LOW: (f"currency, amount_minor, {ENTRY}", False),
    Sort.DEADLINE: (f"remind_at, {ENTRY}", False),
}
_OF_THE_ORDER: Final = {
    Sort.AMOUNT_HIGH: "amount_minor > 0",
    Sort.AMOUNT_LOW: "amount_minor > 0",
    Sort.DEADLINE: "remind_at IS NOT NULL",
}


async def search(connection: AsyncConnection, filters: Filters, asking: Asking | None, now: datetime) -> Found:
    """Return the keys of a page's entries.

    Raises:
        RequestInvalid: for an invalid cursor, amounts without a currency, or ``mine`` without a user.
    """
    given = await values_of(connection, filters, asking, now)
    conditions = list(conditions_of(filters, asking))
    place = place_of(filters.sort, filters.after) if filters.after else None
    columns, down = _ORDERS[filters.sort]
    names = [f"place_{number}" for number, _ in enumerate(columns.split(", "))]
    narrow = await _narrowest(connection, conditions, given)
    kept: list[_Passed] = []
    length = FEW if narrow else filters.limit + 1 if not conditions else 2 * filters.limit
    for _ in range(_STRETCHES_MAX):
        beyond = None
        if place is not None:
            given |= dict(zip(names, place, strict=True))
            beyond = f"({columns}) {'<' if down else '>'} ({', '.join(':' + name for name in names)})"
        seen = _few(narrow) if narrow else _stretch(filters, conditions, beyond, length)
        fits = [BEGUN, *(each.sql for each in conditions)]
        if narrow:
            fits += [each for each in (_OF_THE_ORDER.get(filters.sort), beyond) if each]
        statement = _page(seen, fits, columns, _ordered(columns, down))
        passed = await _passed(connection, statement, {**given, "length": length}, len(names))
        wanted = filters.limit + 1 - len(kept)
        kept += [each for each in passed if each.fits][:wanted]
        if len(kept) > filters.limit:
            return Found(_keys(kept[:-1]), cursor(filters.sort, kept[-2].place))
        last = next((each for each in passed if each.number == length), None)
        if narrow or last is None:
            return Found(_keys(kept), None)
        place = last.place
        length = min(4 * length, _STRETCH_MAX)
    assert place is not None
    return Found(_keys(kept), cursor(filters.sort, place), early=True)


@dataclass(frozen=True, slots=True)
class _Passed:
    """An entry of a stretch: its key, its place in the order, its number in the stretch, and whether it matches."""

    key: tuple[str, str, str]
    place: tuple[object, ...]
    number: int
    fits: bool


async def _passed(
    connection: AsyncConnection, statement: TextClause, given: Mapping[str, Any], columns: int
) -> list[_Passed]:
    """Return what `_page` finds; the first columns of its rows are an entry's place."""
    return [
        _Passed((row.referral_id, row.exception, row.subject), tuple(row)[:columns], row.number, row.fits)
        for row in await connection.execute(statement, given)
    ]


def _keys(kept: Sequence[_Passed]) -> tuple[tuple[str, str, str], ...]:
    return tuple(each.key for each in kept)


async def _narrowest(
    connection: AsyncConnection, conditions: Sequence[Condition], given: dict[str, Any]
) -> Condition | None:
    """Return the condition that leaves the fewest entries, if these are few; else None."""
    counted = [each for each in conditions if each.parts]
    if not counted:
        return None
    counts = [" UNION ALL ".join(_up_to_few(part, "1") for part in each.parts) for each in counted]
    asked = ", ".join(f"(SELECT count(*) FROM ({each}) AS x)" for each in counts)  # noqa: S608 (conditions of ours)
    found = (await connection.execute(text(f"SELECT {asked}"), given)).one()
    count, narrowest = min(zip(found, range(len(counted)), strict=True))
    return counted[narrowest] if count <= FEW else None


def _up_to_few(part: tuple[str, str], columns: str) -> str:
    """Return the SQL for at most a few entries, in the order of an index, so that nothing else is read.

    The limit is a literal, because PostgreSQL plans a parameter as if it asked for a tenth of all rows.
    """
    return f"(SELECT {columns} FROM queue_entry WHERE {part[0]} ORDER BY {part[1]} LIMIT {FEW + 1})"  # noqa: S608


def _few(narrow: Condition) -> str:
    return " UNION ".join(_up_to_few(part, "*") for part in narrow.parts)


def _stretch(filters: Filters, conditions: Sequence[Condition], beyond: str | None, length: int) -> str:
    """Return the SQL for the next entries in the order of the list, by the first condition with an index for it."""
    columns, down = _ORDERS[filters.sort]
    led, first = None, None
    if columns == BY_AGE:
        led, first = next((each.led for each in conditions if each.led), (None, None))
    elif columns.startswith("currency"):
        led = next((each.sql for each in conditions if each.sql.startswith("currency")), None)
    begun = BEGUN if columns == BY_AGE else None
    where = " AND ".join(each for each in (led, begun, _OF_THE_ORDER.get(filters.sort), beyond) if each)
    order = _ordered(f"{first}, {columns}" if first else columns, down)
    return f"SELECT * FROM queue_entry {f'WHERE {where}' if where else ''} ORDER BY {order} LIMIT {length}"  # noqa: S608


def _ordered(columns: str, down: bool) -> str:
    return ", ".join(f"{column} {'DESC' if down else 'ASC'}" for column in columns.split(", "))


def _page(seen: str, fits: Sequence[str], columns: str, order: str) -> TextClause:
    """Return the SQL for the matching entries of a stretch, and its last entry, where the next stretch begins."""
    fit = " AND ".join(f"({each})" for each in fits) or "true"
    return text(f"""
    WITH seen AS MATERIALIZED ({seen})
    SELECT {columns}, number, fits
    FROM (SELECT *, row_number() OVER (ORDER BY {order}) AS number, coalesce({fit}, false) AS fits FROM seen) AS passed
    WHERE fits OR number = :length ORDER BY number
    """)  # noqa: S608 (conditions and columns of ours)
