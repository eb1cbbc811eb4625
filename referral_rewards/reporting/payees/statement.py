"""A payee's statement over some days: opening balance, each event, closing balance, per currency, as the books have it.

The balances are sums of the books' own postings, and every event is one of their transactions: opening balance and
events come to the closing balance, which is the ledger's at the end of the last day.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.ledger import OF_PAYOUTS, Line
from referral_rewards.domain.books.statement import EventKind, accounts_of, movements
from referral_rewards.domain.errors import NotFound
from referral_rewards.register import typed_rows
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.sheets import Cell, amount, row_of
from referral_rewards.reporting.shape import GivenId, Instant, Shape, csv_row

#: The most events that are shown at once; a file has all of them.
EVENTS_MAX: Final = 2_000
_PAGE: Final = 500


class Balance(Shape):
    """A balance in minor units: what we owe the payee less what the payee owes us; negative where they owe more."""

    owed_minor: int
    owing_minor: int
    balance_minor: int


class StatementEvent(Shape):
    """An event: how it changed what we owe the payee and what the payee owes us, and the balance after it. ``payout``
    is the payout that it belongs to, if any."""

    at: Instant
    event: EventKind
    program: str
    referrals: tuple[GivenId, ...]
    payout: UUID | None
    currency: str
    owed_minor: int
    owing_minor: int
    balance_minor: int


class InCurrency(Shape):
    """The statement in one currency. ``more``: there are more events than are shown; the balances are of all."""

    currency: str
    opening: Balance
    events: tuple[StatementEvent, ...]
    closing: Balance
    more: bool


class Statement(Shape):
    """A payee's statement from its first day to before ``until``, both in UTC; null is without an end on that side."""

    payee: GivenId
    since: date | None
    until: date | None
    as_of: Instant
    currencies: tuple[InCurrency, ...]


async def statement(connection: AsyncConnection, payee: str, asked: Asked, now: datetime) -> Statement:
    """Return the payee's statement over the days that are asked for. Call it within one snapshot of the books.

    Raises:
        NotFound: if nothing was ever posted for the payee, and no fact names them as one.
    """
    await _hold_known(connection, payee)
    ends = await _balances(connection, payee, asked)
    events = [each async for each in _events(connection, payee, asked, ends, EVENTS_MAX + 1)]
    shown: dict[str, list[StatementEvent]] = defaultdict(list)
    for each in events[:EVENTS_MAX]:
        shown[each.currency].append(each)
    return Statement(
        payee=payee,
        since=asked.days.start,
        until=asked.days.end,
        as_of=now,
        currencies=tuple(
            InCurrency(
                currency=currency,
                opening=its.opening,
                events=tuple(shown[currency]),
                closing=its.closing,
                more=len(events) > EVENTS_MAX,
            )
            for currency, its in ends.items()
        ),
    )


async def written(connection: AsyncConnection, payee: str, asked: Asked) -> AsyncIterator[str]:
    """Yield the whole statement as CSV: the opening balances, each event, the closing balances; in major units.

    Raises:
        NotFound: as `statement`.
    """
    await _hold_known(connection, payee)
    ends = await _balances(connection, payee, asked)
    yield csv_row(*_COLUMNS)
    for currency, its in ends.items():
        yield row_of(_COLUMNS, _Line("opening_balance", currency, its.opening))
    async for event in _events(connection, payee, asked, ends, None):
        yield row_of(_COLUMNS, _Line(event.event, event.currency, event, event))
    for currency, its in ends.items():
        yield row_of(_COLUMNS, _Line("closing_balance", currency, its.closing))


@dataclass(frozen=True, slots=True)
class _Ends:
    """The balances before the first day and after the last one."""

    opening: Balance
    closing: Balance


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file: a balance, or an event."""

    what: str
    currency: str
    of: Balance | StatementEvent
    event: StatementEvent | None = None


_COLUMNS: Final[Mapping[str, Callable[[_Line], Cell]]] = {
    "at": lambda line: line.event.at if line.event else None,
    "event": lambda line: line.what,
    "currency": lambda line: line.currency,
    "we_owe": lambda line: amount(line.of.owed_minor, line.currency),
    "they_owe": lambda line: amount(line.of.owing_minor, line.currency),
    "balance": lambda line: amount(line.of.balance_minor, line.currency),
    "program": lambda line: line.event.program if line.event else None,
    "referrals": lambda line: " ".join(line.event.referrals) if line.event else None,
    "payout": lambda line: str(line.event.payout) if line.event and line.event.payout else None,
}


async def _hold_known(connection: AsyncConnection, payee: str) -> None:
    asked = {"payee": payee, "accounts": list(accounts_of(payee))}
    if not (await connection.execute(_KNOWN, asked)).scalar_one():
        raise NotFound("payee", payee)


async def _balances(connection: AsyncConnection, payee: str, asked: Asked) -> dict[str, _Ends]:
    """Return the balances at both ends, by currency."""
    payable, recoverable = accounts_of(payee)
    given = {"payable": payable, "recoverable": recoverable, "begins": asked.begins_at, "ends": asked.ends_at}
    rows = await typed_rows.read(connection, _Sums, _BALANCES, given)
    return {
        row.currency: _Ends(
            opening=_balance(row.owed_before, row.owing_before), closing=_balance(row.owed_after, row.owing_after)
        )
        for row in rows
    }


def _balance(owed_minor: int, owing_minor: int) -> Balance:
    return Balance(owed_minor=owed_minor, owing_minor=owing_minor, balance_minor=owed_minor - owing_minor)


async def _events(
    connection: AsyncConnection, payee: str, asked: Asked, ends: Mapping[str, _Ends], limit: int | None
) -> AsyncIterator[StatementEvent]:
    """Yield the events in order of time, at most so many; a page of transactions is in memory at a time."""
    running = {currency: its.opening.balance_minor for currency, its in ends.items()}
    place: tuple[datetime | None, str] = (None, "")
    yielded = 0
    while True:
        rows = await _page(connection, payee, asked, place)
        for _, lines in groupby(rows, key=lambda row: row.key):
            for event in _of_transaction(list(lines), payee):
                running[event.currency] += event.owed_minor - event.owing_minor
                yield event.model_copy(update={"balance_minor": running[event.currency]})
                yielded += 1
                if yielded == limit:
                    return
        if len({row.key for row in rows}) < _PAGE:
            return
        place = (rows[-1].posted_at, rows[-1].key)


async def _page(
    connection: AsyncConnection, payee: str, asked: Asked, place: tuple[datetime | None, str]
) -> Sequence["_Posting"]:
    after_at, after_key = place
    given = {
        "accounts": list(accounts_of(payee)),
        "of_payouts": list(OF_PAYOUTS),
        "begins": asked.begins_at,
        "ends": asked.ends_at,
        "after_at": after_at,
        "after_key": after_key,
        "limit": _PAGE,
    }
    return await typed_rows.read(connection, _Posting, _EVENTS, given)


def _of_transaction(rows: Sequence["_Posting"], payee: str) -> list[StatementEvent]:
    of = rows[0]
    lines = [Line(row.account, row.amount_minor) for row in rows]
    return [
        StatementEvent(
            at=of.posted_at,
            event=each.kind,
            program=of.program,
            referrals=tuple(of.referrals),
            payout=of.payout,
            currency=of.currency,
            owed_minor=each.owed_minor,
            owing_minor=each.owing_minor,
            balance_minor=0,
        )
        for each in movements(of.key, lines, payee)
    ]


@dataclass(frozen=True, slots=True)
class _Sums:
    currency: str
    owed_before: int
    owing_before: int
    owed_after: int
    owing_after: int


@dataclass(frozen=True, slots=True)
class _Posting:
    key: str
    posted_at: datetime
    program: str
    referrals: Sequence[str]
    payout: UUID | None
    account: str
    amount_minor: int
    currency: str


_KNOWN: Final = text("""
SELECT EXISTS (SELECT 1 FROM posting WHERE account = ANY(CAST(:accounts AS text[])))
    OR EXISTS (SELECT 1 FROM fact_key WHERE key = 'payee:' || CAST(:payee AS text))
""")

# Without a first day nothing stands before it. What we owe stands in credit, which is negative.
_BALANCES: Final = text("""
SELECT currency, CAST(coalesce(-sum(amount_minor) FILTER (WHERE owed AND before), 0) AS bigint) AS owed_before,
       CAST(coalesce(sum(amount_minor) FILTER (WHERE NOT owed AND before), 0) AS bigint) AS owing_before,
       CAST(coalesce(-sum(amount_minor) FILTER (WHERE owed), 0) AS bigint) AS owed_after,
       CAST(coalesce(sum(amount_minor) FILTER (WHERE NOT owed), 0) AS bigint) AS owing_after
FROM (
    SELECT p.currency, p.amount_minor, p.account = :payable AS owed,
           coalesce(t.posted_at < CAST(:begins AS timestamptz), false) AS before
    FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
    WHERE p.account IN (:payable, :recoverable)
      AND (CAST(:ends AS timestamptz) IS NULL OR t.posted_at < :ends)
) AS its GROUP BY currency ORDER BY currency
""")

# A payout of a cycle pays for several referrals, which its legs name.
_EVENTS: Final = text("""
WITH its AS (
    SELECT t.id, t.key, t.posted_at, t.program, t.referral_id,
           CASE WHEN split_part(t.key, ':', 1) = ANY(CAST(:of_payouts AS text[]))
                THEN CAST(substring(t.key FROM '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}') AS uuid) END AS payout
    FROM ledger_transaction t
    WHERE t.id IN (SELECT transaction_id FROM posting WHERE account = ANY(CAST(:accounts AS text[])))
      AND (CAST(:begins AS timestamptz) IS NULL OR t.posted_at >= :begins)
      AND (CAST(:ends AS timestamptz) IS NULL OR t.posted_at < :ends)
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (t.posted_at, t.key COLLATE "C") > (CAST(:after_at AS timestamptz), CAST(:after_key AS text)))
    ORDER BY t.posted_at, t.key COLLATE "C" LIMIT :limit
)
SELECT its.key, its.posted_at, its.program, its.payout, p.account, p.amount_minor, p.currency,
       CASE WHEN its.referral_id <> '' THEN ARRAY[CAST(its.referral_id AS text)]
            ELSE ARRAY(SELECT DISTINCT CAST(l.referral_id AS text) FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
                       WHERE pl.payout_id = its.payout ORDER BY 1) END AS referrals
FROM its JOIN posting p ON p.transaction_id = its.id ORDER BY its.posted_at, its.key COLLATE "C", p.id
""")
