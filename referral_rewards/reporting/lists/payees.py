"""The list of payees with approved rewards: the amounts that each is owed, has on hold and was paid."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain import calendar
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.money import display
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import FormStanding
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.register.payees import rows as payees
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import TOTALLED_MAX, Total, Totals
from referral_rewards.reporting.lists.sheets import Sheet
from referral_rewards.reporting.shape import Count, GivenId, Shape

_CLOCK: Final = calendar.zone("UTC")
#: Whether names go from the last to the first, in each order.
ORDERS: Final = {"name": False, "name_down": True}


class PayeeInList(Shape):
    """A payee with amounts in minor units by currency, and the standing of their tax form under each regime. Where days
    were asked for, the amounts are of the rewards approved on those."""

    payee: GivenId
    held_minor: dict[str, int]
    owed_minor: dict[str, int]
    paid_minor: dict[str, int]
    forms: dict[str, FormStanding]


@dataclass(frozen=True, slots=True)
class Wanted(Asked):
    """Filters of the list. ``held``: only payees with a reward on tax hold. Days are those on which rewards were
    approved."""

    held: bool = False


async def page(connection: AsyncConnection, wanted: Wanted) -> list[PayeeInList]:
    """Return a page of payees by name, in the database's sort order."""
    names = list((await connection.execute(text(_names(wanted)), _parameters(wanted))).scalars())
    sums: dict[str, dict[str, dict[str, int]]] = {name: {"held": {}, "owed": {}, "paid": {}} for name in names}
    asked = {**_parameters(replace(wanted, after=None)), "payees": names}
    for row in await connection.execute(text(_SUMS.format(days=_also(wanted))), asked):
        its = sums[row.beneficiary][_SUMMED[LegState(row.state)]]
        its[row.currency] = its.get(row.currency, 0) + int(row.amount_minor)
    filed, now = await payees.forms(connection, names), datetime.now(UTC)
    regimes = await payees.regimes(connection)
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


async def totals(connection: AsyncConnection, wanted: Wanted) -> Totals:
    """Return what all payees that match are owed, have on hold and were paid, and how many they are."""
    whole = replace(wanted, after=None)
    found = (
        await connection.execute(text(_TOTALS.format(days=_also(whole), held=_held(whole))), _parameters(whole))
    ).all()
    counted = next((row.payees for row in found if row.currency is None), 0)
    read = next((row.legs for row in found if row.currency is None), 0)
    by_currency = tuple(
        Total(
            currency=row.currency,
            rows=row.payees,
            sums_minor={"held": row.held_minor, "owed": row.owed_minor, "paid": row.paid_minor},
        )
        for row in found
        if row.currency is not None
    )
    more = read > TOTALLED_MAX
    return Totals(count=Count(count=counted, at_least=more), by_currency=None if more else by_currency)


def _names(wanted: Wanted) -> str:
    """Return the SQL for the names of a page.

    Raises:
        RequestInvalid: if there is no such order.
    """
    if wanted.sort and wanted.sort not in ORDERS:
        raise RequestInvalid(none_of(wanted.sort, ORDERS), "sort")
    down = ORDERS.get(wanted.sort, False)
    beyond, way = ("<" if down else ">"), ("DESC" if down else "ASC")
    after = f" AND beneficiary {beyond} :after" if wanted.after else ""
    if wanted.held or _also(wanted):
        return _NAMES_OF.format(after=after, way=way, limit=wanted.limit, days=_also(wanted), held=_held(wanted))
    return _NAMES.format(after=after, way=way, beyond=beyond, limit=wanted.limit)


def _also(wanted: Wanted) -> str:
    return "".join(f" AND {each}" for each in _of_days(wanted))


def _of_days(wanted: Wanted) -> Iterator[str]:
    if wanted.days.start is not None:
        yield "approved_at >= :begins"
    if wanted.days.end is not None:
        yield "approved_at < :ends"


def _held(wanted: Wanted) -> str:
    return _ON_HOLD if wanted.held else ""


def _parameters(wanted: Wanted) -> dict[str, object]:
    given = {"begins": wanted.begins_at, "ends": wanted.ends_at, "after": wanted.after or None}
    return {name: value for name, value in given.items() if value is not None}


# Every name once, each found from the one before it: a payee may have very many legs.
_NAMES: Final = """
WITH RECURSIVE named AS (
    (SELECT beneficiary AS name FROM leg WHERE true{after} ORDER BY beneficiary {way} LIMIT 1)
    UNION ALL
    SELECT (SELECT beneficiary FROM leg WHERE beneficiary {beyond} named.name ORDER BY beneficiary {way} LIMIT 1)
    FROM named WHERE named.name IS NOT NULL
)
SELECT name FROM named WHERE name IS NOT NULL LIMIT {limit}
"""

_NAMES_OF: Final = """
SELECT DISTINCT beneficiary AS name FROM leg WHERE true{held}{days}{after} ORDER BY name {way} LIMIT {limit}
"""

_ON_HOLD: Final = spelled(" AND state = :held", held=LegState.TAX_HOLD)

_SUMMED: Final = {
    LegState.TAX_HOLD: "held",
    LegState.WAITING_METHOD: "owed",
    LegState.RESERVED: "owed",
    LegState.PAID: "paid",
}

_SUMS: Final = spelled(
    """
SELECT beneficiary, currency, sum(amount_minor) AS amount_minor, state
FROM leg WHERE beneficiary = ANY(CAST(:payees AS text[])) AND state IN :shown{days}
GROUP BY beneficiary, currency, state ORDER BY beneficiary, currency
""",
    shown=frozenset(_SUMMED),
)

# A payee who has a reward on hold counts with all of their rewards, as on the page. The line without a currency counts
# everybody once.
_TOTALS: Final = spelled(
    f"""
WITH its AS (
    SELECT beneficiary, currency, state, amount_minor FROM leg
    WHERE beneficiary IN (SELECT beneficiary FROM leg WHERE true{{held}}{{days}}){{days}}
    ORDER BY approved_at LIMIT {TOTALLED_MAX + 1}
)
SELECT currency, count(*) AS legs, count(DISTINCT beneficiary) AS payees,
       CAST(coalesce(sum(amount_minor) FILTER (WHERE state = :held), 0) AS bigint) AS held_minor,
       CAST(coalesce(sum(amount_minor) FILTER (WHERE state IN :owed), 0) AS bigint) AS owed_minor,
       CAST(coalesce(sum(amount_minor) FILTER (WHERE state = :paid), 0) AS bigint) AS paid_minor
FROM its GROUP BY GROUPING SETS ((currency), ()) ORDER BY currency
""",  # noqa: S608 (a number of ours)
    held=LegState.TAX_HOLD,
    owed=frozenset(state for state, name in _SUMMED.items() if name == "owed"),
    paid=LegState.PAID,
)


def _amounts(by_currency: dict[str, int]) -> str:
    return "; ".join(display(minor, currency) for currency, minor in by_currency.items())


def _form(regime: str, row: PayeeInList) -> str:
    its = row.forms.get(regime)
    return "" if its is None else its


PAYEES: Final[Sheet[Wanted, PayeeInList]] = Sheet(
    name="payees",
    page=page,
    totals=totals,
    place=lambda row: row.payee,
    columns={
        "payee": lambda row: row.payee,
        "held": lambda row: _amounts(row.held_minor),
        "owed": lambda row: _amounts(row.owed_minor),
        "paid": lambda row: _amounts(row.paid_minor),
        **{f"form_{regime}": partial(_form, regime) for regime in tax_thresholds.THRESHOLDS},
    },
)
