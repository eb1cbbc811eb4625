"""Search a page of the queue, reading a bounded number of rows for any size of the queue and any filters.

Every filter has an index, but no index covers every combination of filters in every order. So the search first counts,
up to a thousand, whether one filter alone leaves few entries. If so, it reads these and applies the other filters to
them. If not, it reads the list in order, a stretch at a time, and skips entries that do not match. If that takes too
long, the page ends early and the next one continues there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.money import exponent
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.locks import array
from referral_rewards.reporting.queue.filters import UNFLAGGED, Filters, cursor, place_of

FEW: Final = 1_000
#: The first stretch is about as long as the page, and they grow to this length; a page reads at most so many stretches.
_STRETCH_MAX: Final = 2_000
_STRETCHES_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Asking:
    """The user who searches, for the filter ``mine``."""

    user: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Found:
    """The keys of a page's entries (referral, exception, subject), and the cursor of the next page; None at the end.

    ``early``: the page ended before it was full, because too many entries were skipped.
    """

    keys: tuple[tuple[str, str, str], ...]
    next: str | None
    early: bool = False


@dataclass(frozen=True, slots=True)
class _Condition:
    """One filter: its SQL condition, and the indexes that serve it.

    ``parts`` are conditions with the order of their index; the filter matches where any of them does. Without parts it
    has no index. If an index has the matching entries in the order of age, ``led`` is the condition to read it by,
    with the first column of its order, if that is another one.
    """

    sql: str
    parts: tuple[tuple[str, str], ...] = ()
    led: tuple[str, str | None] | None = None


_APPROVING: Final = frozenset(Role) - {Role.ADMINISTRATOR}
_ENTRY: Final = "referral_id, exception, subject"
_BY_AGE: Final = f"since, {_ENTRY}"
#: The columns of each order, and whether it is descending.
_ORDERS: Final[dict[Sort, tuple[str, bool]]] = {
    Sort.OLDEST: (_BY_AGE, False),
    Sort.NEWEST: (_BY_AGE, True),
    Sort.AMOUNT_HIGH: (f"currency, amount_minor, {_ENTRY}", True),
    Sort.AMOUNT_LOW: (f"currency, amount_minor, {_ENTRY}", False),
    Sort.DEADLINE: (f"remind_at, {_ENTRY}", False),
}
#: An entry dated in the future is not listed yet.
_BEGUN: Final = "since <= :now"
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
    given = await _given(connection, filters, asking, now)
    conditions = list(_conditions(filters, asking))
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
        fits = [_BEGUN, *(each.sql for each in conditions)]
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


def _conditions(filters: Filters, asking: Asking | None) -> Iterator[_Condition]:
    """Yield the filters, the likely narrowest first. Literals in the SQL are our enum members, never user input."""
    if filters.q is not None:
        columns = ("referral_id", "referrer", "customer", "order_id")
        parts = tuple((f"{column} >= :q AND {column} < :q_end", column) for column in columns)
        yield _Condition("(" + " OR ".join(sql for sql, _ in parts) + ")", parts)
    if filters.flag is not None:
        yield _by_age("flags = '{}'" if filters.flag == UNFLAGGED else f"flags @> '{{{filters.flag}}}'")
    if filters.exception is not None:
        yield _of_column("exception", ":exception")
    if filters.recommendation is not None:
        yield _of_column("recommendation", ":recommendation")
    if filters.route is not None:
        yield _by_age(f"routes @> '{{{filters.route.value}}}'")
    if filters.program is not None:
        yield _of_column("program", ":program")
    if filters.overdue:
        yield _Condition("remind_at <= :now", (("remind_at <= :now", f"remind_at, {_ENTRY}"),))
    if filters.older_than_days is not None:
        yield _by_age("since <= :until")
    if filters.amount_min is not None or filters.amount_max is not None:
        sql = "currency = :currency AND amount_minor BETWEEN :least AND :most AND amount_minor > 0"
        yield _Condition(sql, ((sql, f"currency, amount_minor, {_ENTRY}"),))
    elif filters.currency is not None:
        yield _Condition("currency = :currency")
    if filters.mine:
        if asking is not None and len(asking.roles & _APPROVING) == 1:
            (role,) = asking.roles & _APPROVING
            yield _by_age(f"routes @> '{{{role.value}}}'")
        yield _of_column("exception", f"'{Waits.APPROVAL}'")
        yield _Condition(f"status = '{ReferralStatus.AWAITING_APPROVAL}' AND routes && CAST(:roles AS text[])")
        yield _Condition(_UNSIGNED)


def _by_age(sql: str) -> _Condition:
    return _Condition(sql, ((sql, _BY_AGE),), (sql, None))


def _of_column(column: str, value: str) -> _Condition:
    """Return the condition for a value in a column.

    The index is read as a range of one value: with an equality PostgreSQL drops the column from the order, and may
    then read all entries by age to find the few with the value.
    """
    only = f"{column} >= {value} AND {column} <= {value}"
    return _Condition(f"{column} = {value}", ((only, f"{column}, {_BY_AGE}"),), (only, column))


async def _given(connection: AsyncConnection, filters: Filters, asking: Asking | None, now: datetime) -> dict[str, Any]:
    """Return the parameters of the conditions."""
    given: dict[str, Any] = {"now": now}
    if filters.q is not None:
        given |= {"q": filters.q, "q_end": filters.q + "\U0010ffff"}
    for name in ("exception", "recommendation", "program", "currency"):
        if (value := getattr(filters, name)) is not None:
            given[name] = str(value)
    if filters.older_than_days is not None:
        given["until"] = now - timedelta(days=filters.older_than_days)
    if filters.amount_min is not None or filters.amount_max is not None:
        currency = filters.currency or await _only_currency(connection, filters.program)
        scale = 10 ** exponent(currency)
        given |= {
            "currency": currency,
            "least": int(-(-(filters.amount_min or 0) * scale // 1)),
            "most": int(filters.amount_max * scale // 1) if filters.amount_max is not None else 2**62,
        }
    if filters.mine:
        if asking is None:
            raise RequestInvalid("needs somebody whose they are", "mine")
        given |= {"user": asking.user, "roles": array(sorted(asking.roles))}
    return given


async def _only_currency(connection: AsyncConnection, program: str | None) -> str:
    """Return the currency of the amounts if none is given: the only one in use."""
    found = (await connection.execute(_CURRENCIES, {"program": program})).scalars().all()
    if len(found) != 1:
        told = "needs a currency or a program: amounts of several currencies can't be compared"
        raise RequestInvalid(told, "amount_min")
    return str(found[0])


async def _narrowest(
    connection: AsyncConnection, conditions: Sequence[_Condition], given: dict[str, Any]
) -> _Condition | None:
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


def _few(narrow: _Condition) -> str:
    return " UNION ".join(_up_to_few(part, "*") for part in narrow.parts)


def _stretch(filters: Filters, conditions: Sequence[_Condition], beyond: str | None, length: int) -> str:
    """Return the SQL for the next entries in the order of the list, by the first condition with an index for it."""
    columns, down = _ORDERS[filters.sort]
    led, first = None, None
    if columns == _BY_AGE:
        led, first = next((each.led for each in conditions if each.led), (None, None))
    elif columns.startswith("currency"):
        led = next((each.sql for each in conditions if each.sql.startswith("currency")), None)
    begun = _BEGUN if columns == _BY_AGE else None
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


# An approval of the current claim. Here a row is enough; signatures are verified where they matter.
_UNSIGNED: Final = """
NOT EXISTS (
    SELECT 1 FROM decision d JOIN referral r ON r.id = d.referral_id AND r.claim_id = d.claim_id
    WHERE d.referral_id = seen.referral_id AND d.username = :user AND d.kind = 'approve' OFFSET 0)
"""

_CURRENCIES: Final = text("""
SELECT DISTINCT terms->>'currency' FROM program_version WHERE CAST(:program AS text) IS NULL OR program = :program
""")
