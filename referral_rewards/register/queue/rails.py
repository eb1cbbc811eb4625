"""Maintain the queue entries of rails and of forgotten payments: what waits for finance and belongs to no referral.

Each is rewritten in the transaction that changes what it follows from, under the lock of that row.
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.restores.forgotten import PaymentState
from referral_rewards.register.locks import array


async def keep_rails(connection: AsyncConnection, rails: Collection[str]) -> None:
    """Rewrite the queue entries of rails that are halted after a restore. The caller has just written their rows."""
    await connection.execute(_KEEP_RAILS, {"rails": array(sorted(rails))})


async def keep_halt(connection: AsyncConnection, rail: str) -> None:
    """Rewrite the queue entry of a rail that does not let us in. The caller has just written or deleted its halt."""
    await connection.execute(_KEEP_HALT, {"rail": rail})


async def keep_forgotten(connection: AsyncConnection, payments: Collection[UUID]) -> None:
    """Rewrite the queue entries of these forgotten payments, and drop those of any that wait no more.

    The caller has just written the rows of these.
    """
    await connection.execute(_KEEP_FORGOTTEN, {"payments": array(sorted(map(str, payments)))})


#: What a forgotten payment ``f`` waits for: a person, unless its own payout adopts it. A payout that is settled under
#: the payment's reference has adopted it.
IS_FORGOTTEN: Final = """(f.assigned_to IS NULL AND f.disowned_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM payout a
    WHERE a.provider_reference = f.reference AND a.rail = f.rail AND a.settled_at IS NOT NULL OFFSET 0))"""

# A search for the payee finds it, in the column in which a search for a referrer looks.
FORGOTTEN_ENTRY: Final = spelled(
    """
INSERT INTO queue_entry (referral_id, exception, subject, program, status, referrer, routes, amount_minor, since)
SELECT '', 'forgotten_payment', subject, '', :waiting, payee, '{finance}', 0, found_at""",
    waiting=PaymentState.WAITING,
)

_KEEP_RAILS: Final = text("""
WITH waiting AS MATERIALIZED (
    SELECT rail, why, halted_at FROM restored_rail
    WHERE rail = ANY(CAST(:rails AS text[])) AND reopened_at IS NULL
), gone AS (
    DELETE FROM queue_entry q WHERE q.referral_id = '' AND q.exception = 'rail_halted'
      AND q.subject = ANY(CAST(:rails AS text[])) AND NOT EXISTS (SELECT 1 FROM waiting w WHERE w.rail = q.subject)
)
INSERT INTO queue_entry (referral_id, exception, subject, program, status, about, routes, amount_minor, since)
SELECT '', 'rail_halted', rail, '', 'halted', why, '{finance}', 0, halted_at FROM waiting
ON CONFLICT (referral_id, exception, subject) DO UPDATE SET about = excluded.about, since = excluded.since
""")

# An entry of its own beside that of `_KEEP_RAILS`: the two halts of one rail begin and end by themselves.
_KEEP_HALT: Final = text("""
WITH waiting AS MATERIALIZED (SELECT rail, why, halted_at FROM rail_halt WHERE rail = :rail), gone AS (
    DELETE FROM queue_entry WHERE referral_id = '' AND exception = 'rail_shut' AND subject = :rail
      AND NOT EXISTS (SELECT 1 FROM waiting)
)
INSERT INTO queue_entry (referral_id, exception, subject, program, status, about, routes, amount_minor, since)
SELECT '', 'rail_shut', rail, '', 'halted', why, '{finance}', 0, halted_at FROM waiting
ON CONFLICT (referral_id, exception, subject) DO UPDATE SET about = excluded.about, since = excluded.since
WHERE (queue_entry.about, queue_entry.since) IS DISTINCT FROM (excluded.about, excluded.since)
""")

_KEEP_FORGOTTEN: Final = text(f"""
WITH gone AS (
    DELETE FROM queue_entry q USING forgotten_payment f
    WHERE q.referral_id = '' AND q.exception = 'forgotten_payment' AND q.subject = CAST(f.id AS text)
      AND NOT ({IS_FORGOTTEN})
)
{FORGOTTEN_ENTRY} FROM (
    SELECT CAST(f.id AS text) AS subject, f.payee, f.found_at FROM forgotten_payment f
    WHERE f.id = ANY(CAST(:payments AS uuid[])) AND {IS_FORGOTTEN}
) AS waiting
ON CONFLICT (referral_id, exception, subject) DO NOTHING
""")  # noqa: S608 (constants of ours)
