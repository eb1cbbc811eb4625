"""Tax withholding: the payee's tax form in force when a payment is planned determines how much is withheld."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.deductions import Part, by_regime
from referral_rewards.domain.books.ledger import Deduction
from referral_rewards.domain.payees import tax_thresholds
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.register import programs
from referral_rewards.register.payees.rows import Heard

#: A form received this shortly before a payment was planned may not have been seen by the plan.
_JUST_HEARD: Final = timedelta(minutes=5)
_TOO_MUCH: Final = "no tax form of its payee has so much of it withheld"


async def parts_of(connection: AsyncConnection, legs: Collection[UUID]) -> Mapping[UUID, Part]:
    """Return legs as the tax rules see them, by id."""
    rows = (await connection.execute(_PARTS, {"legs": list(legs)})).all()
    return {
        row.id: Part(await programs.version(connection, row.program, row.version), row.amount_minor) for row in rows
    }


def unfounded(
    payout: Payout, planned_at: datetime, parts: Sequence[Part], kept: Collection[Deduction], told: Collection[Heard]
) -> str | None:
    """Return in one sentence why the withheld amounts do not match a form of the payee; None if each regime's does.

    ``payout`` is its row, ``parts`` are its legs, ``kept`` are its withholdings, and ``told`` is what its payee filed.
    """
    if payout.rail not in rail_catalogue.CATALOGUE:
        return f"no rail is called {payout.rail!r}"
    step_minor = rail_catalogue.step_minor(payout.rail, payout.currency)
    known = [each.form for each in told if each.heard_at <= planned_at - _JUST_HEARD]
    left = {each.source: each.amount_minor for each in kept}
    for its in by_regime(parts, known, planned_at):
        kept_minor = left.pop(its.regime, 0)
        by_forms = {
            tax_thresholds.withheld(its.gross_minor, form.withholding_percent, step_minor)
            for form, _ in told
            if form.readable
        }
        by_the_plan = tax_thresholds.withheld(its.gross_minor, its.percent, step_minor)
        if kept_minor not in by_forms and (kept_minor or by_the_plan):
            return _TOO_MUCH if kept_minor > by_the_plan else "the tax form of its payee has more of it withheld"
    return _TOO_MUCH if left else None


_PARTS: Final = text("""
SELECT l.id, l.amount_minor, r.program, r.version FROM leg l JOIN referral r ON r.id = l.referral_id
WHERE l.id = ANY(CAST(:legs AS uuid[])) ORDER BY l.id
""")
