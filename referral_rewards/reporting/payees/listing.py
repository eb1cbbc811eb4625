"""The payees with approved rewards, sorted by name: the amounts that each is owed, has on hold and was paid."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain import calendar
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import FormStanding
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.register.payees import rows as payees
from referral_rewards.reporting import shape
from referral_rewards.reporting.shape import Count, GivenId, Shape

PAGE: Final = 100
_CLOCK: Final = calendar.zone("UTC")


class PayeeInList(Shape):
    """A payee with amounts in minor units by currency, and the standing of their tax form under each regime."""

    payee: GivenId
    held_minor: dict[str, int]
    owed_minor: dict[str, int]
    paid_minor: dict[str, int]
    forms: dict[str, FormStanding]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the list. ``held``: only payees with a reward on tax hold. ``after``: the last of the page before."""

    held: bool = False
    after: str = ""
    limit: int = PAGE


async def listing(connection: AsyncConnection, wanted: Wanted, now: datetime) -> list[PayeeInList]:
    """Return a page of payees, in the database's sort order."""
    asked = {"after": wanted.after, "limit": wanted.limit}
    names = list((await connection.execute(_NAMES_HELD if wanted.held else _NAMES, asked)).scalars())
    sums: dict[str, dict[str, dict[str, int]]] = {name: {"held": {}, "owed": {}, "paid": {}} for name in names}
    for row in await connection.execute(_SUMS, {"payees": names}):
        its = sums[row.beneficiary][_SUMMED[LegState(row.state)]]
        its[row.currency] = its.get(row.currency, 0) + int(row.amount_minor)
    filed, regimes = await payees.forms(connection, names), await payees.regimes(connection)
    return [
        PayeeInList(
            payee=name,
            held_minor=sums[name]["held"],
            owed_minor=sums[name]["owed"],
            paid_minor=sums[name]["paid"],
            forms={
                regime: tax_forms.on_file(filed[name], regime, now, _CLOCK).standing
                for regime in tax_thresholds.THRESHOLDS
                if filed[name] or regime in regimes
            },
        )
        for name in names
    ]


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many payees there are on all pages."""
    return await shape.count(connection, _NAMES_HELD if wanted.held else _NAMES, {"after": ""})


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

_NAMES_HELD: Final = text(
    spelled(
        """
SELECT DISTINCT beneficiary AS name FROM leg WHERE state = :held AND beneficiary > :after
ORDER BY name LIMIT :limit
""",
        held=LegState.TAX_HOLD,
    )
)

_SUMMED: Final = {
    LegState.TAX_HOLD: "held",
    LegState.WAITING_METHOD: "owed",
    LegState.RESERVED: "owed",
    LegState.PAID: "paid",
}

_SUMS: Final = statement(
    """
SELECT beneficiary, currency, sum(amount_minor) AS amount_minor,
       state
FROM leg WHERE beneficiary = ANY(CAST(:payees AS text[])) AND state = ANY(:shown)
GROUP BY beneficiary, currency, state ORDER BY beneficiary, currency
""",
    shown=frozenset(_SUMMED),
)
