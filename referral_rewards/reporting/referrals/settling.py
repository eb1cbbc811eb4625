"""Whether the referrals that a batch of facts touched stand where it leads: nothing happens to them by itself."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payouts.states import BEING_SENT
from referral_rewards.domain.referrals.lifecycle import ReferralStatus


async def touched(connection: AsyncConnection, batch: UUID) -> list[str]:
    """The referrals that the facts of a file or batch belong to."""
    return list((await connection.execute(_TOUCHED, {"batch": batch})).scalars())


async def moving(connection: AsyncConnection, referrals: Sequence[str]) -> list[str]:
    """Those of the referrals that something still happens to without anybody's help: a wake-up is on its way, facts
    are not judged yet, a timer is due, a claim is being assembled, or a payout is on its way to a rail."""
    return list((await connection.execute(_MOVING, {"referrals": list(referrals)})).scalars())


async def parked(connection: AsyncConnection, batch: UUID) -> dict[str, int]:
    """How many referrals of a batch wait for something else to be told first, by what."""
    return {row.parked: row.referrals for row in await connection.execute(_PARKED, {"batch": batch})}


_TOUCHED: Final = text("""
SELECT DISTINCT rf.referral_id FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id WHERE f.batch_id = :batch
""")

# One attempt at a payout takes seconds; an approved one that stands longer waits for the timer of its next try.
_MOVING: Final = statement(
    """
SELECT r.id FROM unnest(CAST(:referrals AS text[])) AS asked(id) JOIN referral r USING (id)
WHERE r.parked IS NULL AND (r.merged_into IS NULL OR r.status IS NOT NULL) AND (
    r.judged_version < r.facts_version
    OR r.status = :in_review
    OR r.wake_at <= now()
    OR EXISTS (SELECT 1 FROM outbox o WHERE o.target = r.id)
    OR EXISTS (SELECT 1 FROM to_judge j WHERE j.referral_id = r.id)
    OR EXISTS (
        SELECT 1 FROM payouts_of(r.id) AS o JOIN payout p ON p.id = o.payout_id
        WHERE (p.state = ANY(:being_sent) AND p.updated_at > now() - interval '15 seconds'
               OR EXISTS (SELECT 1 FROM outbox w WHERE w.target = p.id::text))
    )
)
""",
    in_review=ReferralStatus.IN_REVIEW,
    being_sent=BEING_SENT,
)

_PARKED: Final = text("""
SELECT r.parked, count(DISTINCT r.id) AS referrals
FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id JOIN referral r ON r.id = rf.referral_id
WHERE f.batch_id = :batch AND r.parked IS NOT NULL AND r.merged_into IS NULL
GROUP BY r.parked ORDER BY r.parked
""")
