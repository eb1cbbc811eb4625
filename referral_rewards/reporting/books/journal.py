"""The journal: every transaction of the books in a period in order of time, and the accounts that they post to."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.money import from_minor
from referral_rewards.register import typed_rows
from referral_rewards.reporting.shape import as_text, csv_row, instant


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


class Posted(NamedTuple):
    """One line: debit positive, credit negative, in minor units."""

    account: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A posted transaction. ``referral`` is None if it concerns several."""

    id: UUID
    key: str
    description: str
    posted_at: datetime
    program: str
    referral: str | None
    lines: tuple[Posted, ...]


class OpenAccount(NamedTuple):
    """An account with postings: the day of the first one (UTC), and its currencies."""

    name: str
    since: date
    currencies: tuple[str, ...]


async def transactions(connection: AsyncConnection, span: Span) -> AsyncIterator[Recorded]:
    """Yield the transactions of a period, oldest first."""
    lines: list[_Line] = []
    async for found in await connection.stream(_LINES, {"begins": span.begins_at, "before": span.ends_before}):
        row = typed_rows.of(_Line, found)
        if lines and lines[0].id != row.id:
            yield _recorded(lines)
            lines = []
        lines.append(row)
    if lines:
        yield _recorded(lines)


async def accounts(connection: AsyncConnection, before: datetime | None) -> AsyncIterator[OpenAccount]:
    """Yield every account with a posting before that instant, sorted by name."""
    async for row in await connection.stream(_ACCOUNTS, {"before": before}):
        yield OpenAccount(row.account, row.since, tuple(row.currencies))


async def currencies(connection: AsyncConnection, before: datetime | None) -> list[str]:
    """Return every currency with a posting before that instant."""
    return list((await connection.execute(_CURRENCIES, {"before": before})).scalars())


async def last_day(connection: AsyncConnection) -> date | None:
    """Return the day of the newest transaction (UTC); None if there is none."""
    found: date | None = (await connection.execute(_LAST_DAY)).scalar_one()
    return found


class _Line(NamedTuple):
    id: UUID
    key: str
    description: str
    posted_at: datetime
    program: str
    referral_id: str | None
    account: str
    amount_minor: int
    currency: str


def _recorded(rows: Sequence[_Line]) -> Recorded:
    of, lines = rows[0], tuple(Posted(row.account, row.amount_minor, row.currency) for row in rows)
    return Recorded(of.id, of.key, of.description, of.posted_at, of.program, of.referral_id, lines)


_LINES: Final = text("""
SELECT t.id, t.key, t.description, t.posted_at, t.program, t.referral_id, p.account, p.amount_minor, p.currency
FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
WHERE (CAST(:begins AS timestamptz) IS NULL OR t.posted_at >= :begins)
  AND (CAST(:before AS timestamptz) IS NULL OR t.posted_at < :before)
ORDER BY t.posted_at, t.key COLLATE "C", p.id
""")

_ACCOUNTS: Final = text("""
SELECT p.account COLLATE "C" AS account, CAST(min(t.posted_at) AT TIME ZONE 'UTC' AS date) AS since,
       array_agg(DISTINCT p.currency ORDER BY p.currency) AS currencies
FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
WHERE (CAST(:before AS timestamptz) IS NULL OR t.posted_at < :before)
GROUP BY 1 ORDER BY 1
""")

_CURRENCIES: Final = text("""
SELECT DISTINCT p.currency FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
WHERE (CAST(:before AS timestamptz) IS NULL OR t.posted_at < :before)
ORDER BY 1
""")

_LAST_DAY: Final = text("SELECT CAST(max(posted_at) AT TIME ZONE 'UTC' AS date) FROM ledger_transaction")


COLUMNS: Final = (
    *("posted_at", "transaction", "key", "description", "program", "referral"),
    *("account", "currency", "debit", "credit", "amount_minor"),
)


async def export(connection: AsyncConnection, span: Span = Span()) -> AsyncIterator[str]:
    """Yield the postings of a period as CSV, oldest first: amounts in major units, and signed in minor units."""
    yield csv_row(*COLUMNS)
    async for made in transactions(connection, span):
        yield "".join(_posting(made, line) for line in made.lines)


def _posting(made: Recorded, line: Posted) -> str:
    debit, credit = max(line.amount_minor, 0), max(-line.amount_minor, 0)
    return csv_row(
        instant(made.posted_at) or "",
        str(made.id),
        *map(as_text, (made.key, made.description, made.program, made.referral or "", line.account)),
        line.currency,
        f"{from_minor(debit, line.currency):f}" if debit else "",
        f"{from_minor(credit, line.currency):f}" if credit else "",
        str(line.amount_minor),
    )
