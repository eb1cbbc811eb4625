"""The trial balance: what each account comes to in each currency, and that both columns come to the same."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.reporting import counting
from referral_rewards.reporting.counting import Count


class Balance(NamedTuple):
    """An account in one currency: all that was debited and credited, in minor units."""

    account: str
    currency: str
    debited_minor: int
    credited_minor: int

    @property
    def debit_minor(self) -> int:
        """What stands in the left column: what is left over of the debits."""
        return max(self.debited_minor - self.credited_minor, 0)

    @property
    def credit_minor(self) -> int:
        """What stands in the right column."""
        return max(self.credited_minor - self.debited_minor, 0)


class Total(NamedTuple):
    """The two columns of a currency, all accounts together or those of one kind, in minor units."""

    kind: str | None
    currency: str
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts are wanted: as of which instant (None: now), of which kind, with which beginning of their name;
    those that came after the last one of the page before. ``settled`` also asks for accounts that come to nothing."""

    before: datetime | None = None
    kind: AccountKind | None = None
    begins: str = ""
    after: tuple[str, str] | None = None
    limit: int | None = None
    settled: bool = False


async def balances(connection: AsyncConnection, wanted: Wanted = Wanted()) -> AsyncIterator[Balance]:
    """The accounts by their names, one at a time, however many there are."""
    async for row in await connection.stream(_BALANCES, _asked(wanted)):
        yield _balance(row)


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many accounts there are on all pages."""
    return await counting.count(connection, _BALANCES, {**_asked(wanted), "account": None, "currency": None})


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


async def totals(connection: AsyncConnection, before: datetime | None = None) -> list[Total]:
    """The columns of each currency: in all (``kind`` is None), then of each kind of account."""
    rows = await connection.execute(_TOTALS, {"before": before})
    return [Total(row.kind, row.currency, int(row.debit_minor), int(row.credit_minor)) for row in rows]


def _balance(row: Any) -> Balance:
    return Balance(row.account, row.currency, int(row.debited_minor), int(row.credited_minor))


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
