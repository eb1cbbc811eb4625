"""Take legs out of unsent payouts of a cycle: their claim changed, or their approval was withdrawn.

The payout is frozen again without the leg, and its other legs stay. A payout that was sent never changes. If the
referral's other reward was already sent, the leg goes to a person for review, in a payout of its own.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from referral_rewards.domain.cycles.cycle import Cycle
from referral_rewards.domain.cycles.grouping import cycle_request
from referral_rewards.domain.payouts.payout import Leg, Payout, ReservedLeg
from referral_rewards.domain.payouts.states import LegState, PaymentRequest, PayoutState, body_hash, counts
from referral_rewards.register import typed_rows
from referral_rewards.register.cycles import exemptions
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.payees import deductions
from referral_rewards.register.payees.planning import plan_own
from referral_rewards.register.queue import upkeep

_payouts = PayoutRow.__table__  # type: ignore[attr-defined]

#: The states in which a cycle's payout was not sent yet.
_UNSENT: Final = frozenset({PayoutState.PLANNED, PayoutState.APPROVED, PayoutState.MANUAL_REVIEW})


async def leave(connection: AsyncConnection, payout: UUID, leg: UUID, why: str, at: datetime) -> bool:
    """Take a leg out of an unsent payout of a cycle, and return whether that was possible.

    The payout is planned again with its remaining legs. If none remain, or less than the minimum, it is cancelled and
    the remaining legs are due again. The caller holds the leg's referral.
    """
    read = await _payout(connection, _PAYOUT, payout)
    await deductions.hold_payees(connection, [read.payee])
    cycle = None if read.cycle_id is None else await cycles.share(connection, read.cycle_id)
    its = await _payout(connection, _HOLD, payout)
    if cycle is None or counts(its.state, its.generation, its.first_sent_at, its.key_used_at):
        return False
    if its.first_sent_at is not None:
        # Its rail refused it. Its other legs are due again too: as it was frozen it can't be retried without this one.
        for other in await typed_rows.read(connection, Leg, _LEGS, {"id": payout}):
            upkeep.watch(connection, other.referral_id)
        await cancel(connection, its, why, at)
        return True
    if its.state not in _UNSENT:
        return False
    # Before the list is frozen the leg disappears from it; afterwards it stays listed, as one that left.
    gathering = cycle.frozen_at is None
    await connection.execute(_FORGET if gathering else _UNLINK, {"payout": payout, "leg": leg})
    legs = await typed_rows.read(connection, Leg, _LEGS, {"id": payout})
    if not legs or await too_little(connection, cycle, its):
        await cancel(connection, its, why, at)
        if gathering:
            await connection.execute(_FORGET_ALL, {"payout": payout})
        return True
    amount_minor = await deductions.plan(
        connection,
        payout,
        payee=its.payee,
        rail=its.rail,
        currency=its.currency,
        legs=[each.id for each in legs],
        at=at,
    )
    request = cycle_request(payout, its.payee, amount_minor, its.currency, legs[0].destination, cycle.program)
    await _freeze(connection, payout, request)
    return True


async def too_little(connection: AsyncConnection, cycle: Cycle, payout: Payout) -> bool:
    """Return whether the rest of the cycle pays the payee less than the minimum and nothing of it was sent yet."""
    minimum = cycle.minimum
    if minimum is None:
        return False
    asked = {"cycle": cycle.id, "payee": payout.payee, "currency": payout.currency}
    left = (await connection.execute(_LEFT, asked)).one()
    is_below = not left.sent and minimum.missed_by(int(left.amount_minor), payout.currency)
    return is_below and not await exemptions.is_ordered(connection, cycle.id, payout.payee)


async def cancel(connection: AsyncConnection, payout: Payout, why: str, at: datetime) -> None:
    """Cancel an unsent payout of a cycle; its legs are due again. The caller holds the payout."""
    await connection.execute(_UNLINK_ALL, {"payout": payout.id})
    await deductions.free(connection, payout.id)
    values = {"state": PayoutState.CANCELLED, "why": why, "updated_at": at}
    await connection.execute(update(_payouts).where(_payouts.c.id == payout.id).values(values))


async def set_aside(
    connection: AsyncConnection, leg: Leg, payout: UUID | None, round_: int, why: str, at: datetime
) -> None:
    """Send an unsent leg to a person for review, in a payout of its own instead of the cycle's.

    The caller holds the referral; the leg belongs to its current ``round_``. If a person releases the payout, its
    claim is judged again.
    """
    if payout is not None and not await leave(connection, payout, leg.id, why, at):
        return
    await deductions.hold_payees(connection, [leg.beneficiary])
    await plan_own(connection, leg, round_, PayoutState.MANUAL_REVIEW, why, at)


def waits_for_a_cycle(leg: ReservedLeg) -> bool:
    """Return whether a reserved leg is in an unsent payout of a cycle, or waits for the next cycle."""
    if leg.state != LegState.RESERVED:
        return False
    return leg.payout_id is None or (leg.cycle_id is not None and leg.first_sent_at is None)


async def _payout(connection: AsyncConnection, statement: TextClause, payout: UUID) -> Payout:
    found = await typed_rows.read_one(connection, Payout, statement, {"id": payout})
    assert found is not None
    return found


async def _freeze(connection: AsyncConnection, payout: UUID, request: PaymentRequest) -> None:
    """Freeze a new request. ``updated_at`` stays: it tells since when the payout waits, also for a source's answer."""
    body = request.body()
    values = {"amount_minor": request.amount_minor, "body": body, "body_hash": body_hash(body)}
    await connection.execute(update(_payouts).where(_payouts.c.id == payout).values(values))


_PAYOUT: Final = text("SELECT * FROM payout WHERE id = :id")

_HOLD: Final = text("SELECT * FROM payout WHERE id = :id FOR UPDATE")

_LEGS: Final = text("""
SELECT l.* FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = :id AND pl.live ORDER BY l.id
""")

_FORGET: Final = text("DELETE FROM payout_leg WHERE payout_id = :payout AND leg_id = :leg")

_FORGET_ALL: Final = text("DELETE FROM payout_leg WHERE payout_id = :payout")

_UNLINK: Final = text("UPDATE payout_leg SET live = false WHERE payout_id = :payout AND leg_id = :leg")

_UNLINK_ALL: Final = text("UPDATE payout_leg SET live = false WHERE payout_id = :payout AND live")

_LEFT: Final = text("""
SELECT coalesce(sum(l.amount_minor), 0) AS amount_minor, coalesce(bool_or(p.first_sent_at IS NOT NULL), false) AS sent
FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id AND pl.live JOIN leg l ON l.id = pl.leg_id
WHERE p.cycle_id = :cycle AND p.payee = :payee AND p.currency = :currency
""")
