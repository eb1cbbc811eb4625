"""How much of a payment is withheld: what the payee's tax form says that is in force when the payment is planned."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import rail_catalogue, tax, tax_forms
from referral_rewards.domain.ledger import Deduction
from referral_rewards.register import payees

#: Of what was told this short a time before a payment was planned, the plan may not have known.
_JUST_HEARD: Final = timedelta(minutes=5)
_TOO_MUCH: Final = "no tax form of its payee has so much of it withheld"


class Withheld(NamedTuple):
    """What legs come to whose programs report to one regime, in minor units, and how much of it is withheld."""

    regime: str
    gross_minor: int
    percent: Decimal


async def of_legs(
    connection: AsyncConnection, payee: str, legs: Collection[UUID], at: datetime, *, heard_by: datetime | None = None
) -> list[Withheld]:
    """All that these legs of one payee come to, by regime: by the frozen terms of each leg's referral, and the forms
    of which we had ``heard_by`` then."""
    terms = await payees.terms_of(connection, legs)
    amounts = {row.id: row.amount_minor for row in await connection.execute(_AMOUNTS, {"legs": list(legs)})}
    forms = (await payees.forms(connection, [payee], heard_by=heard_by))[payee]
    gross: Counter[str] = Counter()
    percents: dict[str, Decimal] = {}
    for leg, amount_minor in amounts.items():
        regime, zone = terms[leg].tax.regime, terms[leg].zone
        if regime == tax.NO_REGIME:
            percent = Decimal(0)
        else:
            percent = tax_forms.on_file(forms, regime, at, zone).withholding_percent
        # Where two versions of the terms have two clocks, the form may stand by one of them alone.
        percents[regime] = max(percent, percents.get(regime, percent))
        gross[regime] += amount_minor
    return [Withheld(regime, minor, percents[regime]) for regime, minor in sorted(gross.items())]


async def unfounded(connection: AsyncConnection, payout: Any, kept: Collection[Deduction]) -> str | None:
    """Why no form that the payee filed has just so much withheld of what the payout pays, in one sentence; None if
    one has, for each regime. ``payout`` is its row and ``kept`` what is withheld of it."""
    if payout.rail not in rail_catalogue.CATALOGUE:
        return f"no rail is called {payout.rail!r}"
    legs = (await connection.execute(_LEGS, {"payout": payout.id})).scalars().all()
    planned_at = (
        await connection.execute(_PLANNED_AT, {"payout": payout.id})
    ).scalar_one_or_none() or payout.updated_at
    step_minor = rail_catalogue.step_minor(payout.rail, payout.currency)
    filed = (await payees.forms(connection, [payout.payee]))[payout.payee]
    left = {each.source: each.amount_minor for each in kept}
    for its in await of_legs(connection, payout.payee, legs, planned_at, heard_by=planned_at - _JUST_HEARD):
        kept_minor = left.pop(its.regime, 0)
        by_forms = {
            tax.withheld(its.gross_minor, each.withholding_percent, step_minor) for each in filed if each.readable
        }
        by_the_plan = tax.withheld(its.gross_minor, its.percent, step_minor)
        if kept_minor not in by_forms and (kept_minor or by_the_plan):
            return _TOO_MUCH if kept_minor > by_the_plan else "the tax form of its payee has more of it withheld"
    return _TOO_MUCH if left else None


_AMOUNTS: Final = text("SELECT id, amount_minor FROM leg WHERE id = ANY(CAST(:legs AS uuid[])) ORDER BY id")

_LEGS: Final = text("SELECT leg_id FROM payout_leg WHERE payout_id = :payout AND live ORDER BY leg_id")

_PLANNED_AT: Final = text("SELECT min(at) FROM payout_step WHERE payout_id = :payout")
