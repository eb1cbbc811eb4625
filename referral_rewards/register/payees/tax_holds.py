"""Legs that wait for a tax form: decided when they would be paid, and let go by what can change that.

A decision reads what counts for its payees under their locks and holds them until it commits, so that two legs of one
payee which two programs approve at the same moment can't both slip under the threshold. Whoever records a form, or
takes back a plan, takes the same locks before it looks for who waits: one of the two sees the other.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.claims.dossier import TaxPosition
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payouts.legs import LegState
from referral_rewards.register import outbox
from referral_rewards.register.payees import deductions
from referral_rewards.register.payees import rows as payees


async def decide(
    connection: AsyncConnection, legs: Sequence[Any], now: datetime, *, judging: str | None = None
) -> frozenset[UUID]:
    """Which of these legs wait for a form, on record from now on. The others may be planned in this transaction.

    The legs are reserved or waiting, without a payout, and their referrals' rows are held; their payees are from here
    on. They are taken in the given order: each that may be paid counts for the next. A referral whose leg begins to
    wait is woken to set its alarm, unless it is the one that the caller is ``judging``.
    """
    if not legs:
        return frozenset()
    await deductions.hold_payees(connection, [leg.beneficiary for leg in legs])
    held = await _waiting(connection, legs, now)
    begin = [leg for leg in legs if leg.id in held and leg.state != LegState.TAX_HOLD]
    end = [leg for leg in legs if leg.id not in held and leg.state == LegState.TAX_HOLD]
    if begin:
        await connection.execute(_HOLD, {"legs": [leg.id for leg in begin]})
    if end:
        await connection.execute(_LET_GO, {"legs": [leg.id for leg in end]})
    if others := {leg.referral_id for leg in begin} - {judging}:
        await outbox.enqueue_newest_fact(connection, sorted(others))
    return held


async def again_at(connection: AsyncConnection, legs: Sequence[Any], zone: ZoneInfo, now: datetime) -> datetime | None:
    """When one of these waiting legs may next go on by itself: a form becomes valid, or the year turns."""
    names = {leg.beneficiary for leg in legs}
    if not names:
        return None
    filed = (form for forms in (await payees.forms(connection, names)).values() for form in forms)
    starts = tax_forms.next_start(filed, now, zone)
    turns = tax_thresholds.year_begins(tax_thresholds.year_of(now, zone) + 1, zone)
    return turns if starts is None else min(starts, turns)


async def wake(
    connection: AsyncConnection, names: Collection[str], batch: UUID | None = None, *, besides: str | None = None
) -> set[str]:
    """Has every referral looked at again in which one of these payees waits, in whatever program; their ids.

    Called once the transaction has written what changed, and holds the rows that it needs (`locks`).
    """
    await deductions.hold_payees(connection, names)
    found = await connection.execute(_WAITING, {"payees": sorted(names)})
    waiting = {row.referral_id for row in found if row.referral_id != besides}
    if waiting:
        await outbox.enqueue_newest_fact(connection, sorted(waiting), batch)
    return waiting


async def _waiting(connection: AsyncConnection, legs: Sequence[Any], now: datetime) -> frozenset[UUID]:
    terms = await payees.terms_of(connection, [leg.id for leg in legs])
    known: dict[tuple[str, ZoneInfo], Mapping[str, TaxPosition]] = {}
    added: Counter[str] = Counter()
    waiting = set()
    for leg in legs:
        its = terms[leg.id]
        if (asked := (its.tax.regime, its.zone)) not in known:
            names = {each.beneficiary for each in legs}
            known[asked] = await payees.positions(connection, names, its, now)
        position = known[asked].get(leg.beneficiary)
        if tax_thresholds.may_be_paid(
            its.tax.regime,
            leg.currency,
            tax_thresholds.year_of(now, its.zone),
            form_on_file=position is not None and position.form_on_file,
            before_minor=None if position is None else position.year_total_minor + added[leg.beneficiary],
            amount_minor=leg.amount_minor,
        ):
            added[leg.beneficiary] += leg.amount_minor
        else:
            waiting.add(leg.id)
    return frozenset(waiting)


_HOLD: Final = statement("UPDATE leg SET state = :held WHERE id = ANY(CAST(:legs AS uuid[]))", held=LegState.TAX_HOLD)

_LET_GO: Final = statement(
    "UPDATE leg SET state = :reserved WHERE id = ANY(CAST(:legs AS uuid[]))", reserved=LegState.RESERVED
)

_WAITING: Final = text(
    spelled(
        """
SELECT DISTINCT referral_id FROM leg WHERE state = :held AND beneficiary = ANY(CAST(:payees AS text[]))
""",
        held=LegState.TAX_HOLD,
    )
)
