"""Take the instructions of payments by hand out of the bank's file that a fact would have stopped (SPEC §7).

They were exported before, so it is not known whether the bank carries them out: two people say so
(`domain.decisions.bank_confirmations`).
"""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.queue import upkeep


async def take_back(connection: AsyncConnection, referral: str, why: str, now: datetime) -> None:
    """Put each exported payment of the referral before two people, for this reason.

    The caller holds the referral's row. An instruction of a cycle is of several referrals; all of it leaves the file.
    """
    rows = (await connection.execute(_TAKE_BACK, {"referral": referral, "why": why, "at": now})).all()
    for row in rows:
        for other in row.referrals:
            upkeep.watch(connection, other)
        if row.cycle_id is not None:
            await cycles.wake_once_over(connection, row.cycle_id)


_TAKE_BACK: Final = statement(
    """
WITH its AS (
    SELECT p.id FROM payout p
    WHERE p.state = :accepted AND p.rail = ANY(:by_hand) AND p.id IN (
        SELECT pl.payout_id FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id
        WHERE l.referral_id = :referral AND pl.live)
    ORDER BY p.id FOR UPDATE
)
UPDATE payout SET state = :in_review, why = :why, due_at = NULL, updated_at = :at
FROM its WHERE payout.id = its.id AND payout.state = :accepted
RETURNING payout.cycle_id, ARRAY(
    SELECT DISTINCT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
    WHERE pl.payout_id = payout.id AND pl.live ORDER BY 1
) AS referrals
""",
    accepted=PayoutState.ACCEPTED,
    in_review=PayoutState.MANUAL_REVIEW,
    by_hand=BY_HAND,
)
