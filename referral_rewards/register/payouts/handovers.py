"""Handovers from rails for payees: stored as personal data, and shown only to the side that they are for."""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PersonalData
from models.statuses import statement
from referral_rewards import personal
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.payouts.states import Handed, LegState, PayoutState


async def keep(connection: AsyncConnection, payout: UUID, paid_as: str, handed: Handed, at: datetime) -> None:
    """Store the handover of a payment in the caller's transaction; one already stored stays."""
    name = uuid4()
    row = {
        "payout": payout,
        "paid_as": paid_as,
        "id": name,
        "kind": handed.kind,
        "reference": handed.reference,
        "at": at,
    }
    if (await connection.execute(_KEEP, row)).one_or_none() is None:
        return
    secret = personal.kept(connection, name, {"what": handed.what})
    await connection.execute(insert(PersonalData).values(**secret._asdict()))


async def is_kept(connection: AsyncConnection, payout: UUID, paid_as: str) -> bool:
    """Return whether there is a handover of that payment, erased or not."""
    return (await connection.execute(_KEPT, {"payout": payout, "paid_as": paid_as})).one_or_none() is not None


async def of_side(connection: AsyncConnection, referral: str, side: Side) -> tuple[Handed, ...]:
    """Return the handovers of one side's paid rewards, without those taken back or erased."""
    rows = await connection.execute(_OF_SIDE, {"referral": referral, "side": side})
    found = [(row, personal.body_of(connection, row.id, row.sealed)) for row in rows]
    return tuple(Handed(row.kind, body["what"], row.reference) for row, body in found if body is not None)


_KEEP: Final = text("""
INSERT INTO handover (payout_id, paid_as, id, kind, reference, given_at)
VALUES (:payout, :paid_as, :id, :kind, :reference, :at)
ON CONFLICT (payout_id, paid_as) DO NOTHING RETURNING id
""")

_KEPT: Final = text("SELECT 1 FROM handover WHERE payout_id = :payout AND paid_as = :paid_as")

_OF_SIDE: Final = statement(
    """
SELECT h.kind, h.id, d.sealed, h.reference
FROM leg l
JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
JOIN payout p ON p.id = pl.payout_id AND p.state = :settled
JOIN handover h ON h.payout_id = p.id AND h.paid_as = p.provider_reference
JOIN personal_data d ON d.subject_id = h.id AND d.sealed IS NOT NULL
WHERE l.referral_id = :referral AND l.role = :side AND l.state = :paid
ORDER BY h.given_at, h.id
""",
    settled=PayoutState.SETTLED,
    paid=LegState.PAID,
)
