"""Freeze an unsent payout again when an offset that lowers it is no longer owed.

An offset ends when the payment that it recovers came back by itself. The payee must then be paid in full.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.clawbacks.states import OFFSETS
from referral_rewards.domain.payouts.states import UNSENT, body_hash
from referral_rewards.register.locks import dump
from referral_rewards.register.payees import deductions
from referral_rewards.register.payouts import rows as payout_rows


async def renew(connection: AsyncConnection, payout: UUID, at: datetime) -> bool:
    """Freeze the payout again if an ended offset lowers it, and return whether it did. A sent payout never changes."""
    if not await _outdated(connection, payout):
        return False
    await payout_rows.hold_referrals(connection, payout)
    found = await payout_rows.read(connection, payout)
    await deductions.hold_payees(connection, [found.payee])
    found = await payout_rows.hold_alone(connection, payout)
    if found.first_sent_at is not None or found.state not in UNSENT or not await _outdated(connection, payout):
        return False
    amount_minor = await deductions.plan(
        connection,
        payout,
        payee=found.payee,
        rail=found.rail,
        currency=found.currency,
        legs=(await connection.execute(_LEGS, {"payout": payout})).scalars().all(),
        at=at,
    )
    body: dict[str, Any] = {**found.body, "amount_minor": amount_minor}
    frozen = {"id": payout, "amount_minor": amount_minor, "body": dump(body), "hash": body_hash(body)}
    await connection.execute(_FREEZE, frozen)
    return True


async def _outdated(connection: AsyncConnection, payout: UUID) -> bool:
    return bool((await connection.execute(_OUTDATED, {"payout": payout})).scalar_one())


_OUTDATED: Final = statement(
    """
SELECT EXISTS (
    SELECT 1 FROM payout_deduction d
    JOIN clawback b ON b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END
    WHERE d.payout_id = :payout AND d.live AND d.kind = :kept AND b.state <> ALL(:offsets)
)
""",
    kept=DeductionKind.OFFSET,
    offsets=OFFSETS,
)

_LEGS: Final = text("SELECT leg_id FROM payout_leg WHERE payout_id = :payout AND live ORDER BY leg_id")

_FREEZE: Final = text("""
UPDATE payout SET amount_minor = :amount_minor, body = CAST(:body AS jsonb), body_hash = :hash WHERE id = :id
""")
