"""Freeze an unsent payout again when an offset that lowers it is no longer owed.

An offset ends when the payment that it recovers came back by itself. The payee must then be paid in full.
"""

from datetime import datetime
from typing import Final
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
from referral_rewards.register.payouts.rows import Held


async def hold(connection: AsyncConnection, payout: UUID, at: datetime) -> Held:
    """Lock the payout as `rows.hold` does, after freezing it again if an offset that lowers it has ended.

    The payee is locked before the payout's row, so that row stays free until it is known whether to freeze it again.
    """
    rows = (await connection.execute(_HOLD, {"id": payout})).all()
    if not rows[0].kept_off:
        return payout_rows.held_by(connection, rows)
    await _renew(connection, payout, at)
    return await payout_rows.hold(connection, payout)


async def _renew(connection: AsyncConnection, payout: UUID, at: datetime) -> None:
    """Freeze the payout again if an ended offset lowers it. A sent payout never changes."""
    await payout_rows.hold_referrals(connection, payout)
    payee = (await payout_rows.read(connection, payout)).payee
    await deductions.hold_payees(connection, [payee])
    found = (await payout_rows.hold(connection, payout)).payout
    if found.first_sent_at is not None or found.state not in UNSENT or not await _outdated(connection, payout):
        return
    amount_minor = await deductions.plan(
        connection,
        payout,
        payee=found.payee,
        rail=found.rail,
        currency=found.currency,
        legs=(await connection.execute(_LEGS, {"payout": payout})).scalars().all(),
        at=at,
    )
    body: dict[str, object] = {**found.body, "amount_minor": amount_minor}
    frozen = {"id": payout, "amount_minor": amount_minor, "body": dump(body), "hash": body_hash(body)}
    await connection.execute(_FREEZE, frozen)


async def _outdated(connection: AsyncConnection, payout: UUID) -> bool:
    return bool((await connection.execute(_OUTDATED, {"id": payout})).scalar_one())


_LOWERED_BY_WHAT_ENDED: Final = """EXISTS (
    SELECT 1 FROM payout_deduction d
    JOIN clawback b ON b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END
    WHERE d.payout_id = :id AND d.live AND d.kind = :kept AND b.state <> ALL(:offsets)
)"""

_OUTDATED: Final = statement(f"SELECT {_LOWERED_BY_WHAT_ENDED}", kept=DeductionKind.OFFSET, offsets=OFFSETS)

_HOLD: Final = statement(payout_rows.holding(unless=_LOWERED_BY_WHAT_ENDED), kept=DeductionKind.OFFSET, offsets=OFFSETS)

_LEGS: Final = text("SELECT leg_id FROM payout_leg WHERE payout_id = :payout AND live ORDER BY leg_id")

_FREEZE: Final = text("""
UPDATE payout SET amount_minor = :amount_minor, body = CAST(:body AS jsonb), body_hash = :hash WHERE id = :id
""")
