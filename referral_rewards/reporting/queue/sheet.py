"""What the entries of the queue that are filtered come to, and all of them as a file."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.money import display
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting.lists.reading import Totals, totals_of
from referral_rewards.reporting.lists.sheets import Cell, amount, row_of
from referral_rewards.reporting.queue.conditions import BEGUN, Asking, conditions_of, values_of
from referral_rewards.reporting.queue.entries import Entry, everything
from referral_rewards.reporting.queue.filters import Filters
from referral_rewards.reporting.shape import csv_row

NAME: Final = "queue"
_TOTALLED_MAX: Final = 10_000


async def totals(connection: AsyncConnection, filters: Filters, asking: Asking | None, now: datetime) -> Totals:
    """Return what the rewards of all entries that match come to, whichever page is shown.

    Raises:
        RequestInvalid: as for a page.
    """
    where = " AND ".join(f"({each})" for each in (BEGUN, *(each.sql for each in conditions_of(filters, asking))))
    found = await connection.execute(text(_SUMS.format(where=where)), await values_of(connection, filters, asking, now))
    return totals_of([(row.currency, row.rows, {"reward": row.reward}) for row in found], _TOTALLED_MAX)


async def written(
    connection: AsyncConnection, keys: KeyRing, filters: Filters, asking: Asking | None, now: datetime
) -> AsyncIterator[str]:
    """Yield all entries that match as CSV, in the order of the list.

    Raises:
        RequestInvalid: as for a page.
    """
    yield csv_row(*_COLUMNS)
    async for entry in everything(connection, keys, filters, asking, now):
        yield row_of(_COLUMNS, entry)


_COLUMNS: Final[Mapping[str, Callable[[Entry], Cell]]] = {
    "referral": lambda entry: entry.referral,
    "program": lambda entry: entry.program,
    "waits_for": lambda entry: entry.exception,
    "subject": lambda entry: entry.subject,
    "about": lambda entry: entry.about,
    "to_do": lambda entry: entry.to_do,
    "status": lambda entry: entry.status,
    "referrer": lambda entry: entry.referrer,
    "referred_customer": lambda entry: entry.referred_customer,
    "recommendation": lambda entry: entry.eligibility.recommendation,
    "flags": lambda entry: "; ".join(entry.eligibility.flags),
    "order": lambda entry: entry.conversion.order if entry.conversion else None,
    "net": lambda entry: amount(entry.conversion.net_minor, entry.conversion.currency) if entry.conversion else None,
    "net_currency": lambda entry: entry.conversion.currency if entry.conversion else None,
    "reward": lambda entry: "; ".join(f"{display(leg.amount_minor, leg.currency)} {leg.role}" for leg in entry.reward),
    "needs": lambda entry: "; ".join(entry.approval.needs),
    "since": lambda entry: entry.since,
    "overdue": lambda entry: "yes" if entry.overdue else "no",
}

# What has no reward to pay counts without a currency.
_SUMS: Final = f"""
SELECT currency, count(*) AS rows, CAST(sum(amount_minor) AS bigint) AS reward FROM (
    SELECT CASE WHEN amount_minor > 0 THEN currency END AS currency, amount_minor FROM queue_entry AS seen
    WHERE {{where}} ORDER BY since LIMIT {_TOTALLED_MAX + 1}
) AS its GROUP BY currency ORDER BY currency
"""  # noqa: S608 (a number of ours)
