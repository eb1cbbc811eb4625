"""How much of a payment is withheld: what the payee's tax form says that is in force when the payment is planned."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import rail_catalogue, tax, tax_forms
from referral_rewards.domain.ledger import Deduction
from referral_rewards.register import payees


class Withheld(NamedTuple):
    """What legs come to whose programs report to one regime, in minor units, and how much of it is withheld."""

    regime: str
    gross_minor: int
    percent: Decimal


async def of_legs(connection: AsyncConnection, payee: str, legs: Collection[UUID], at: datetime) -> list[Withheld]:
    """All that these legs of one payee come to, by regime: by the frozen terms of each leg's referral."""
    terms = await payees.terms_of(connection, legs)
    amounts = {row.id: row.amount_minor for row in await connection.execute(_AMOUNTS, {"legs": list(legs)})}
    forms = (await payees.forms(connection, [payee]))[payee]
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


async def founded(connection: AsyncConnection, payout: Any, kept: Deduction) -> bool:
    """Whether some form that the payee filed has so much withheld of what the payout pays; ``payout`` is its row."""
    legs = (await connection.execute(_LEGS, {"payout": payout.id})).scalars().all()
    terms = await payees.terms_of(connection, legs)
    amounts = {row.id: row.amount_minor for row in await connection.execute(_AMOUNTS, {"legs": list(legs)})}
    gross_minor = sum(minor for leg, minor in amounts.items() if terms[leg].tax.regime == kept.source)
    step_minor = rail_catalogue.step_minor(payout.rail, payout.currency)
    filed = (await payees.forms(connection, [payout.payee]))[payout.payee]
    return any(
        tax.withheld(gross_minor, form.withholding_percent, step_minor) == kept.amount_minor
        for form in filed
        if form.readable
    )


_AMOUNTS: Final = text("SELECT id, amount_minor FROM leg WHERE id = ANY(CAST(:legs AS uuid[])) ORDER BY id")

_LEGS: Final = text("SELECT leg_id FROM payout_leg WHERE payout_id = :payout AND live ORDER BY leg_id")
