"""How payouts, rails, cycles and the books stand, in numbers for whoever watches them: each read by an index."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.payouts.states import BEING_SENT, UNDER_WAY, PayoutState

#: What an outcome may stay unknown for before people look into it.
PATIENCE: Final = timedelta(hours=1)
#: A payout that is due goes on within seconds, and one that seems forgotten is woken after two minutes.
_OVERDUE: Final = timedelta(minutes=15)
_S = PayoutState
#: All but those that are done with, of which there are ever more.
WATCHED: Final = tuple(state for state in PayoutState if state not in (_S.SETTLED, _S.CANCELLED))


@dataclass(frozen=True, slots=True)
class Gauges:
    """``payouts`` by state and rail, without those that are done with; of them ``standing_still`` are due and nobody
    carries them on. ``unbalanced`` of the newest entries of the books, which the database keeps at zero."""

    payouts: Mapping[tuple[str, str], int]
    standing_still: int
    unknown_for_long: int
    oldest_unknown_seconds: float
    halted: frozenset[str]
    cycles_frozen: int
    cases_open: int
    unbalanced: int


async def gauges(connection: AsyncConnection, now: datetime) -> Gauges:
    """How it stands at this moment."""
    asked = {"states": list(WATCHED)}
    payouts = {(row.state, row.rail): row.payouts for row in await connection.execute(_PAYOUTS, asked)}
    unknown = (await connection.execute(_UNKNOWN, {"before": now - PATIENCE})).one()
    rest = (await connection.execute(_REST)).one()
    since = unknown.since
    return Gauges(
        payouts=payouts,
        standing_still=(await connection.execute(_STILL, {"before": now - _OVERDUE})).scalar_one(),
        unknown_for_long=unknown.long,
        oldest_unknown_seconds=max(0.0, (now - since).total_seconds()) if since is not None else 0.0,
        halted=frozenset((await connection.execute(_HALTED)).scalars()),
        cycles_frozen=rest.cycles,
        cases_open=rest.cases,
        unbalanced=rest.unbalanced,
    )


_PAYOUTS: Final = text("""
SELECT state, rail, count(*) AS payouts FROM payout WHERE state = ANY(CAST(:states AS text[])) GROUP BY 1, 2
""")

# One of a cycle waits for its release, and while it is stopped.
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

# Since when it is unknown: answers that change nothing leave this as it is.
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
