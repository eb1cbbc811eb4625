"""Recover offsets: the amount that a settled payout kept counts as recovered, unless that payout comes back.

The caller holds the payout's row. Its deductions hold the amounts kept (`deductions`); the payout's own entry books
them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.clawbacks.states import OFFSETS, ClawbackState
from referral_rewards.register import outbox
from referral_rewards.register.books import ledger
from referral_rewards.register.outbox import WakeupKind


async def recovered(connection: AsyncConnection, payout: UUID, now: datetime) -> None:
    """Count the amounts that a settled payout kept as recovered."""
    await _wake(connection, (await connection.execute(_RECOVERED, {"payout": payout, "at": now})).scalars(), payout)


async def given_back(connection: AsyncConnection, payout: UUID, now: datetime) -> None:
    """Reopen the offsets that a returned payout had kept, and drop open offsets for the payout's own legs."""
    await _wake(connection, (await connection.execute(_GIVEN_BACK, {"payout": payout, "at": now})).scalars(), payout)
    for row in (await connection.execute(_DROPPED, {"payout": payout, "at": now})).all():
        entry = books.claim_dropped(
            str(row.id), row.program, row.payee, row.amount_minor - row.recovered_minor, row.currency
        )
        await ledger.post(connection, entry, program=row.program, referral=row.referral_id, at=now)


async def _wake(connection: AsyncConnection, referrals: Iterable[str], payout: UUID) -> None:
    """Have the referrals judged again whose rewards offsets recover: they may now be recovered in full."""
    for referral in sorted(set(referrals)):
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout)


_RECOVERED: Final = statement(
    """
UPDATE clawback b SET recovered_minor = b.recovered_minor + d.amount_minor, updated_at = :at,
                      state = CASE WHEN b.recovered_minor + d.amount_minor = b.amount_minor THEN :offset
                                   ELSE b.state END
FROM payout_deduction d
WHERE d.payout_id = :payout AND d.live AND d.kind = :kept
  AND b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END
RETURNING b.referral_id
""",
    kept=DeductionKind.OFFSET,
    offset=ClawbackState.OFFSET,
)

_GIVEN_BACK: Final = statement(
    """
UPDATE clawback b SET recovered_minor = b.recovered_minor - d.amount_minor, updated_at = :at, state = :offsetting
FROM payout_deduction d
WHERE d.payout_id = :payout AND d.live AND d.kind = :kept
  AND b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END AND b.state = ANY(:offsets)
RETURNING b.referral_id
""",
    kept=DeductionKind.OFFSET,
    offsetting=ClawbackState.OFFSETTING,
    offsets=OFFSETS,
)

_DROPPED: Final = statement(
    """
UPDATE clawback b SET state = :given_up, why = 'its payment came back by itself', updated_at = :at
FROM leg l WHERE l.id = b.leg_id AND b.payout_id = :payout AND b.state = :offsetting
RETURNING b.*, l.program
""",
    given_up=ClawbackState.UNRECOVERABLE,
    offsetting=ClawbackState.OFFSETTING,
)
