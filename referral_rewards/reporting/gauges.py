"""Monitoring gauges of payouts, rails, cycles and the books; each is read by an index."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.payouts.states import BEING_SENT, UNDER_WAY, PayoutState
from referral_rewards.reporting import rails

#: How long an outcome may stay unknown before a person should look into it.
PATIENCE: Final = timedelta(hours=1)
#: A due payout normally moves within seconds, and the sweep wakes a forgotten one after two minutes.
_OVERDUE: Final = timedelta(minutes=15)
_S = PayoutState
#: All states but the final ones, whose numbers only grow.
WATCHED: Final = tuple(state for state in PayoutState if state not in (_S.SETTLED, _S.CANCELLED))


@dataclass(frozen=True, slots=True)
class Gauges:
    """The gauges. ``payouts`` counts by state and rail, without final states; ``standing_still`` counts those that are
    overdue and do not move. ``connected`` are the rails that can pay. ``restored_rails`` are halted
    after a restore of the register, and ``forgotten`` counts the payments that it forgot and nobody assigned.
    ``unbalanced`` counts among the newest entries of the books; the database keeps it zero."""

    payouts: Mapping[tuple[str, str], int]
    standing_still: int
    unknown_for_long: int
    oldest_unknown_seconds: float
    connected: frozenset[str]
    halted: frozenset[str]
    restored_rails: int
    forgotten: int
    cycles_frozen: int
    cases_open: int
    unbalanced: int


async def gauges(connection: AsyncConnection, now: datetime) -> Gauges:
    """Return the current gauges."""
    asked = {"states": list(WATCHED)}
    payouts = {(row.state, row.rail): row.payouts for row in await connection.execute(_PAYOUTS, asked)}
    unknown = (await connection.execute(_UNKNOWN, {"before": now - PATIENCE})).one()
    rest = (await connection.execute(_REST)).one()
    restored = (await connection.execute(_AFTER_RESTORE)).one()
    since = unknown.since
    return Gauges(
        payouts=payouts,
        standing_still=(await connection.execute(_STILL, {"before": now - _OVERDUE})).scalar_one(),
        unknown_for_long=unknown.long,
        oldest_unknown_seconds=max(0.0, (now - since).total_seconds()) if since is not None else 0.0,
        connected=await rails.connected(connection, now),
        halted=frozenset((await connection.execute(_HALTED)).scalars()),
        restored_rails=restored.rails,
        forgotten=restored.forgotten,
        cycles_frozen=rest.cycles,
        cases_open=rest.cases,
        unbalanced=rest.unbalanced,
    )


_PAYOUTS: Final = text("""
SELECT state, rail, count(*) AS payouts FROM payout WHERE state = ANY(CAST(:states AS text[])) GROUP BY 1, 2
""")

# A cycle's payout waits until the cycle is released, and while it is stopped.
_STILL: Final = text(
    spelled(
        """
SELECT count(*) FROM payout p LEFT JOIN payout_cycle c ON c.id = p.cycle_id
WHERE p.state IN :under_way
  AND coalesce(c.state, :released) = :released
  AND coalesce(p.due_at, CASE WHEN p.state IN :being_sent THEN p.updated_at END)
      < CAST(:before AS timestamptz)
""",
        under_way=UNDER_WAY,
        being_sent=BEING_SENT,
        released=CycleState.RELEASED,
    )
)

# Since when the outcome is unknown; answers that change nothing do not reset it.
_UNKNOWN: Final = text(
    spelled(
        """
SELECT count(*) FILTER (WHERE updated_at <= CAST(:before AS timestamptz)) AS long, min(updated_at) AS since
FROM payout WHERE state = :unknown
""",
        unknown=PayoutState.UNKNOWN,
    )
)

_HALTED: Final = text("SELECT rail FROM rail_halt")

_AFTER_RESTORE: Final = text("""
SELECT (SELECT count(*) FROM restored_rail WHERE reopened_at IS NULL) AS rails, (
    SELECT count(*) FROM forgotten_payment f
    WHERE f.assigned_to IS NULL AND f.disowned_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM payout a
        WHERE a.provider_reference = f.reference AND a.rail = f.rail AND a.settled_at IS NOT NULL)
) AS forgotten
""")

_REST: Final = text(
    spelled(
        """
SELECT (SELECT count(*) FROM payout_cycle WHERE state = :frozen) AS cycles,
       (SELECT count(*) FROM queue_entry WHERE exception >= 'clawback' AND exception <= 'clawback') AS cases,
       (SELECT count(*) FROM (
            SELECT p.transaction_id
            FROM (SELECT DISTINCT transaction_id FROM (
                      SELECT transaction_id FROM posting ORDER BY id DESC LIMIT 2000) AS newest) AS n
            JOIN posting p USING (transaction_id)
            GROUP BY p.transaction_id, p.currency HAVING sum(p.amount_minor) <> 0) AS x) AS unbalanced
""",
        frozen=CycleState.FROZEN,
    )
)
