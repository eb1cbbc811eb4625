"""Liabilities at a moment, for the accruals of a month's end: what is owed by account, tied to the ledger."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.domain.books.liabilities import OWED, Owed, Tied
from referral_rewards.domain.money import from_minor
from referral_rewards.register import programs, typed_rows
from referral_rewards.reporting.books import balances
from referral_rewards.reporting.shape import Instant, Shape, as_text, csv_row, instant


class OwedTo(Shape):
    """The balance of one account in one currency, in minor units: what we owe; below zero what is owed to us. The owner
    is a payee, or of tax withheld its regime."""

    kind: AccountKind
    owner: str
    currency: str
    owed_minor: int


class OwedInAll(Shape):
    """The total of one kind of account in one currency, tied to the ledger: ``ledger_minor`` is the ledger's balance,
    and ``difference_minor`` what it has beyond the accounts of this report and of other programs. It must be zero."""

    kind: AccountKind
    currency: str
    owed_minor: int
    other_programs_minor: int
    ledger_minor: int
    difference_minor: int


class Liabilities(Shape):
    """What is owed by the books at a moment; of one program if one is named. ``next`` is the value of ``after`` for the
    next page of accounts, null at the end; the totals are those of all accounts."""

    as_of: Instant
    program: str | None
    totals: tuple[OwedInAll, ...]
    accounts: tuple[OwedTo, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which liabilities: before which moment they were posted (None: now), and of which program (None: of all)."""

    before: datetime | None = None
    program: str | None = None


async def report(
    connection: AsyncConnection, wanted: Wanted, now: datetime, *, after: str = "", limit: int = 1_000
) -> Liabilities:
    """Return a page of the liabilities, with the totals of all. The connection's transaction must see one moment.

    Raises:
        RequestInvalid: if there is no such program.
    """
    if wanted.program is not None:
        await programs.hold_known(connection, wanted.program)
    asked = {**_asked(wanted), "after": after, "limit": limit}
    rows = await typed_rows.read(connection, _Balance, _PAGE, asked)
    return Liabilities(
        as_of=wanted.before or now,
        program=wanted.program,
        totals=tuple(OwedInAll.model_validate(each) for each in await tied(connection, wanted)),
        accounts=tuple(OwedTo.model_validate(row.owed) for row in rows),
        next=_place(rows[-1]) if len(rows) == limit else None,
    )


async def tied(connection: AsyncConnection, wanted: Wanted) -> list[Tied]:
    """Return the totals by kind of account and currency, each beside the balance that the ledger has of it."""
    listed = await _totals(connection, wanted)
    everything = listed if wanted.program is None else await _totals(connection, Wanted(wanted.before))
    ledger = {
        (AccountKind(each.kind), each.currency): each.credit_minor - each.debit_minor
        for each in await balances.totals_by_kind(connection, wanted.before)
        if each.kind in OWED
    }
    return [
        Tied(kind, currency, own, everything.get((kind, currency), 0) - own, ledger.get((kind, currency), 0))
        for kind, currency in sorted({*ledger, *everything}, key=lambda each: (OWED.index(each[0]), each[1]))
        for own in (listed.get((kind, currency), 0),)
    ]


async def as_csv(connection: AsyncConnection, wanted: Wanted, now: datetime) -> AsyncIterator[str]:
    """Yield all liabilities as CSV, an account and currency a line, however many there are.

    Raises:
        RequestInvalid: likewise.
    """
    if wanted.program is not None:
        await programs.hold_known(connection, wanted.program)
    head = (instant(wanted.before or now) or "", wanted.program or "")
    yield csv_row("as_of", "program", "kind", "owner", "currency", "owed", "owed_minor")
    async for row in await connection.stream(_PAGE, {**_asked(wanted), "after": "", "limit": None}):
        its = typed_rows.of(_Balance, row).owed
        amount = str(from_minor(its.owed_minor, its.currency))
        yield csv_row(*head, its.kind, as_text(its.owner), its.currency, amount, str(its.owed_minor))


class _Balance(NamedTuple):
    kind: AccountKind
    owner: str
    currency: str
    owed_minor: Decimal

    @property
    def owed(self) -> Owed:
        return Owed(self.kind, self.owner, self.currency, int(self.owed_minor))


class _Total(NamedTuple):
    kind: AccountKind
    currency: str
    owed_minor: Decimal


def _place(row: _Balance) -> str:
    return f"{row.currency} {row.kind}:{row.owner}"


async def _totals(connection: AsyncConnection, wanted: Wanted) -> Mapping[tuple[AccountKind, str], int]:
    rows: Iterable[_Total] = await typed_rows.read(connection, _Total, _TOTALS, _asked(wanted))
    return {(row.kind, row.currency): int(row.owed_minor) for row in rows}


def _asked(wanted: Wanted) -> Mapping[str, object]:
    return {"before": wanted.before, "program": wanted.program, "kinds": [each.value for each in OWED]}


# An owner may have colons, a kind has none. Credits are negative in the books: what we owe.
_ACCOUNTS: Final = """
SELECT split_part(p.account, ':', 1) AS kind, substr(p.account, strpos(p.account, ':') + 1) COLLATE "C" AS owner,
       p.currency COLLATE "C" AS currency, -sum(p.amount_minor) AS owed_minor
FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
WHERE split_part(p.account, ':', 1) = ANY(CAST(:kinds AS text[]))
  AND (CAST(:before AS timestamptz) IS NULL OR t.posted_at < CAST(:before AS timestamptz))
  AND (CAST(:program AS text) IS NULL OR t.program = CAST(:program AS text))
GROUP BY 1, 2, 3 HAVING sum(p.amount_minor) <> 0
"""

_PAGE: Final = text(f"""
SELECT kind, owner, currency, owed_minor FROM ({_ACCOUNTS}) AS owed
WHERE currency || ' ' || kind || ':' || owner > CAST(:after AS text) COLLATE "C"
ORDER BY currency || ' ' || kind || ':' || owner COLLATE "C" LIMIT CAST(:limit AS bigint)
""")  # noqa: S608 (words of ours)

_TOTALS: Final = text(f"""
SELECT kind, currency, sum(owed_minor) AS owed_minor FROM ({_ACCOUNTS}) AS owed GROUP BY 1, 2
""")  # noqa: S608 (words of ours)
