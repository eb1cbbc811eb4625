"""Payees for whom rewards were approved, by their names: what each is owed, waits for and was paid."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import calendar
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.register.payees import rows as payees
from referral_rewards.reporting import counting
from referral_rewards.reporting.counting import Count

PAGE: Final = 100
_CLOCK: Final = calendar.zone("UTC")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Only payees of whom a reward waits for a tax form, if ``held``; after which one, the last of the page before."""

    held: bool = False
    after: str = ""
    limit: int = PAGE


async def listing(connection: AsyncConnection, wanted: Wanted, now: datetime) -> list[dict[str, Any]]:
    """A page of payees, in the database's order: amounts by currency in minor units, and what their form is worth under
    each regime."""
    asked = {"after": wanted.after, "limit": wanted.limit}
    names = list((await connection.execute(_NAMES_HELD if wanted.held else _NAMES, asked)).scalars())
    found: dict[str, dict[str, Any]] = {
        name: {"payee": name, "held_minor": {}, "owed_minor": {}, "paid_minor": {}} for name in names
    }
    for row in await connection.execute(_SUMS, {"payees": names}):
        found[row.beneficiary][f"{row.what}_minor"][row.currency] = int(row.amount_minor)
    filed = await payees.forms(connection, names)
    for name in names:
        found[name]["forms"] = {
            regime: tax_forms.on_file(filed[name], regime, now, _CLOCK).standing.value
            for regime in tax_thresholds.THRESHOLDS
        }
    return list(found.values())


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many payees there are on all pages."""
    return await counting.count(connection, _NAMES_HELD if wanted.held else _NAMES, {"after": ""})


# Every name once, each found from the one before it: a payee may have very many legs.
_NAMES: Final = text("""
WITH RECURSIVE named AS (
    (SELECT beneficiary AS name FROM leg WHERE beneficiary > :after ORDER BY beneficiary LIMIT 1)
    UNION ALL
    SELECT (SELECT beneficiary FROM leg WHERE beneficiary > named.name ORDER BY beneficiary LIMIT 1)
    FROM named WHERE named.name IS NOT NULL
)
SELECT name FROM named WHERE name IS NOT NULL LIMIT :limit
""")

_NAMES_HELD: Final = text("""
SELECT DISTINCT beneficiary AS name FROM leg WHERE state = 'tax_hold' AND beneficiary > :after
ORDER BY name LIMIT :limit
""")

_SUMS: Final = text("""
SELECT beneficiary, currency, sum(amount_minor) AS amount_minor,
       CASE state WHEN 'tax_hold' THEN 'held' WHEN 'reserved' THEN 'owed' ELSE 'paid' END AS what
FROM leg WHERE beneficiary = ANY(CAST(:payees AS text[])) AND state IN ('tax_hold', 'reserved', 'paid')
GROUP BY beneficiary, currency, what ORDER BY beneficiary, currency
""")
