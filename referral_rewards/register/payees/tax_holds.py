"""Tax holds: legs wait for a tax form from when they would be paid, and are released when that can change.

`decide` reads the payees' totals under their locks and holds these until it commits. So two legs of one payee that two
programs approve at the same time can't both stay under the threshold. Recording a form or cancelling a plan takes the
same locks before it looks for waiting legs, so that one of the two sees the other.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.claims.dossier import TaxPosition
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payouts.payout import Leg
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.register import outbox
from referral_rewards.register.payees import deductions
from referral_rewards.register.payees import rows as payees


async def decide(
    connection: AsyncConnection, legs: Sequence[Leg], now: datetime, *, judging: str | None = None
) -> frozenset[UUID]:
    """Decide and record which of these legs wait for a form, and return their ids. The others may be planned now.

    The legs are reserved or on hold, without a payout. The caller holds their referrals' rows; this locks their
    payees. The legs are decided in the given order: each that may be paid counts for the next. A referral whose leg
    begins to wait is woken to set its timer, unless the caller is ``judging`` it.
    """
    if not legs:
        return frozenset()
    await deductions.hold_payees(connection, [leg.beneficiary for leg in legs])
    return await decide_held(connection, legs, now, judging=judging)


async def decide_held(
    connection: AsyncConnection, legs: Sequence[Leg], now: datetime, *, judging: str | None = None
) -> frozenset[UUID]:
    """Do the same as `decide` for a caller that holds the payees too."""
    if not legs:
        return frozenset()
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


async def again_at(connection: AsyncConnection, legs: Sequence[Leg], zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return when one of these waiting legs may next be released without new facts: a form becomes valid, or the
    year ends."""
    names = {leg.beneficiary for leg in legs}
    if not names:
        return None
    filed = (form for forms in (await payees.forms(connection, names)).values() for form in forms)
    return tax_forms.released_at(filed, now, zone)


async def wake(
    connection: AsyncConnection, names: Collection[str], batch: UUID | None = None, *, besides: str | None = None
) -> set[str]:
    """Have every referral judged again in which one of these payees waits, in any program; return their ids.

    Call it after the transaction has written its change and holds all rows that it needs (`locks`).
    """
    await deductions.hold_payees(connection, names)
    found = await connection.execute(_WAITING, {"payees": sorted(names)})
    waiting = {row.referral_id for row in found if row.referral_id != besides}
    if waiting:
        await outbox.enqueue_newest_fact(connection, sorted(waiting), batch)
    return waiting


async def _waiting(connection: AsyncConnection, legs: Sequence[Leg], now: datetime) -> frozenset[UUID]:
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
