"""The trial balance: each account's balance by currency, and the totals of both columns."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.register import typed_rows
from referral_rewards.reporting import shape
from referral_rewards.reporting.shape import Count, Shape


class AccountBalance(Shape):
    """An account in one currency, in minor units: total debits and credits, and the balance in the debit or credit
    column."""

    account: str
    currency: str
    debited_minor: int
    credited_minor: int
    debit_minor: int
    credit_minor: int


class ColumnTotals(Shape):
    """The totals of both columns in one currency, in minor units. If they differ, the books are broken."""

    currency: str
    debit_minor: int
    credit_minor: int


class KindTotals(ColumnTotals):
    """The column totals of one kind of account in one currency; ``kind`` is null for the total of all accounts."""

    kind: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the trial balance: the instant (None: now), the kind, and the prefix of the account's name.

    ``after`` is the last account and currency of the page before. ``settled`` includes accounts with a zero balance.
    """

    before: datetime | None = None
    kind: AccountKind | None = None
    begins: str = ""
    after: tuple[str, str] | None = None
    limit: int | None = None
    settled: bool = False


async def balances(connection: AsyncConnection, wanted: Wanted = Wanted()) -> AsyncIterator[AccountBalance]:
    """The accounts by their names, one at a time, however many there are."""
    async for row in await connection.stream(_BALANCES, _asked(wanted)):
        yield _balance(typed_rows.of(_Sums, row))


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many accounts there are on all pages."""
    return await shape.count(connection, _BALANCES, {**_asked(wanted), "account": None, "currency": None})


def _asked(wanted: Wanted) -> dict[str, Any]:
    account, currency = wanted.after or (None, None)
    return {
        "before": wanted.before,
        "of_kind": f"{wanted.kind}:" if wanted.kind else "",
        "begins": wanted.begins,
        "account": account,
        "currency": currency,
        "limit": wanted.limit,
        "settled": wanted.settled,
    }


async def totals(connection: AsyncConnection, before: datetime | None = None) -> list[ColumnTotals]:
    """Return the column totals of all accounts, by currency."""
    return [
        ColumnTotals(currency=each.currency, debit_minor=each.debit_minor, credit_minor=each.credit_minor)
        for each in await totals_by_kind(connection, before)
        if each.kind is None
    ]


async def totals_by_kind(connection: AsyncConnection, before: datetime | None = None) -> list[KindTotals]:
    """Return the column totals by currency: of all accounts, then of each kind of account."""
    return [KindTotals.model_validate(row) for row in await connection.execute(_TOTALS, {"before": before})]


@dataclass(frozen=True, slots=True)
class _Sums:
    account: str
    currency: str
    debited_minor: Decimal
    credited_minor: Decimal


def _balance(row: _Sums) -> AccountBalance:
    debited_minor, credited_minor = int(row.debited_minor), int(row.credited_minor)
    return AccountBalance(
        account=row.account,
        currency=row.currency,
        debited_minor=debited_minor,
        credited_minor=credited_minor,
        debit_minor=max(debited_minor - credited_minor, 0),
        credit_minor=max(credited_minor - debited_minor, 0),
    )


_OF_ALL: Final = """
    SELECT p.account COLLATE "C" AS account, p.currency COLLATE "C" AS currency,
           coalesce(sum(p.amount_minor) FILTER (WHERE p.amount_minor > 0), 0) AS debited_minor,
           coalesce(-sum(p.amount_minor) FILTER (WHERE p.amount_minor < 0), 0) AS credited_minor
    FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
    WHERE (CAST(:before AS timestamptz) IS NULL OR t.posted_at < :before)
"""

_BALANCES: Final = text(f"""
{_OF_ALL}
  AND starts_with(p.account, :of_kind) AND starts_with(p.account, :begins)
  AND (CAST(:account AS text) IS NULL
       OR (p.account COLLATE "C", p.currency COLLATE "C") > (CAST(:account AS text), CAST(:currency AS text)))
GROUP BY 1, 2
HAVING :settled OR sum(p.amount_minor) <> 0
ORDER BY 1, 2 LIMIT :limit
""")

_TOTALS: Final = text(f"""
WITH balance AS ({_OF_ALL} GROUP BY 1, 2)
SELECT split_part(account, ':', 1) AS kind, currency, sum(greatest(debited_minor - credited_minor, 0)) AS debit_minor,
       sum(greatest(credited_minor - debited_minor, 0)) AS credit_minor
FROM balance GROUP BY GROUPING SETS ((1, 2), (2)) ORDER BY 2, 1 NULLS FIRST
""")  # noqa: S608  (both parts are ours)
