"""Find out whether the referrals of a batch of facts have settled: they change no more without a person."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payouts.states import BEING_SENT
from referral_rewards.domain.referrals.lifecycle import ReferralStatus


async def touched(connection: AsyncConnection, batch: UUID) -> list[str]:
    """Return the referrals to which the facts of a batch are linked."""
    return list((await connection.execute(_TOUCHED, {"batch": batch})).scalars())


async def moving(connection: AsyncConnection, referrals: Sequence[str]) -> list[str]:
    """Return those of the referrals that will still change without a person.

    That is: a wake-up is pending, facts are not judged yet, a timer is due, a claim is being assembled, or a payout is
    being sent.
    """
    return list((await connection.execute(_MOVING, {"referrals": list(referrals)})).scalars())


async def parked(connection: AsyncConnection, batch: UUID) -> dict[str, int]:
    """Return how many referrals of a batch are parked, by what they wait for."""
    return {row.parked: row.referrals for row in await connection.execute(_PARKED, {"batch": batch})}


_TOUCHED: Final = text("""
SELECT DISTINCT rf.referral_id FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id WHERE f.batch_id = :batch
""")

# One attempt at a payout takes seconds; a payout that stays approved longer waits for the timer of its next attempt, or
# for its instruction to be exported.
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
               AND coalesce(p.due_at, now()) < now() + interval '1 hour'
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
