"""The claims before and after one in the queue: by how long they wait, the longest first."""

from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Neighbours(NamedTuple):
    """Referrals that wait for approval: None at either end of the queue."""

    before: str | None
    after: str | None


async def neighbours(connection: AsyncConnection, referral: str) -> Neighbours:
    """What waits beside a referral; of one that waits no more, what waits longest comes after."""
    row = (await connection.execute(_BESIDE, {"referral": referral})).one()
    return Neighbours(row.before, row.after)


_BESIDE: Final = text("""
WITH here AS MATERIALIZED (
    SELECT coalesce(max(since), '-infinity') AS since FROM queue_entry
    WHERE referral_id = :referral AND exception = 'approval'
)
SELECT (SELECT q.referral_id FROM queue_entry q
        WHERE q.exception = 'approval' AND (q.since, q.referral_id) < ((SELECT since FROM here), :referral)
        ORDER BY q.since DESC, q.referral_id DESC LIMIT 1) AS before,
       (SELECT q.referral_id FROM queue_entry q
        WHERE q.exception = 'approval' AND (q.since, q.referral_id) > ((SELECT since FROM here), :referral)
        ORDER BY q.since, q.referral_id LIMIT 1) AS after
""")
