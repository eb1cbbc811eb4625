"""What should have moved and did not is woken again: the sweep of every minute, and everything after Temporal was lost.

The register knows what should be running. A signal can be lost with its server, and a workflow can be terminated.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.books.reconciliation import UNFINISHED
from referral_rewards.domain.clawbacks import states as clawbacks
from referral_rewards.domain.cycles import states as cycles
from referral_rewards.domain.payouts import states as payouts
from referral_rewards.register.outbox import WakeupKind, newest_fact, wakeups, wakeups_of_referrals

#: A signal takes far less time. Whatever lags longer than this is woken again.
OVERDUE_AFTER: Final = timedelta(minutes=2)
OVERDUE_COUNTED: Final = 10_000


async def sweep(connection: AsyncConnection, now: datetime, limit: int = 500) -> int:
    """Wake what should have moved and did not, and return how many workflows that is.

    These are referrals that were not judged on their newest facts or slept past their wake-up time, and overdue
    payouts, clawbacks, cycles, reconciliations and acts on programs.

    The most overdue referrals come first. One that is found for the first time is only started if no workflow runs for
    it: a signal to one that is merely behind would put it further behind. Later it is signalled too, after two minutes,
    then four, and so on up to a day.
    """
    given = {"now": now, "overdue_before": now - OVERDUE_AFTER, "limit": limit}
    result = await connection.execute(_SWEEP, given)
    return int(result.scalar_one())


@dataclass(frozen=True, slots=True)
class Lag:
    """How far delivery and judgement are behind: wake-ups that wait, seconds since the oldest was stored of those that
    go first and of those that wait for their turn, and referrals that should have moved and did not, up to
    `OVERDUE_COUNTED`."""

    depth: int
    first_seconds: float
    in_turn_seconds: float
    overdue: int


async def lag(connection: AsyncConnection, now: datetime) -> Lag:
    """Return how far behind we are."""
    given = {"overdue_before": now - OVERDUE_AFTER, "most": OVERDUE_COUNTED}
    row = (await connection.execute(_LAG, given)).one()
    first, in_turn = (max(0.0, (now - since).total_seconds()) if since else 0.0 for since in (row.first, row.in_turn))
    return Lag(row.depth, first, in_turn, row.overdue)


async def resync(connection: AsyncConnection) -> int:
    """Wake everything that is open in the register, and return how many workflows that is.

    After Temporal was lost or restored, what should run may not, and what waits for news may have missed it. What
    already has a wake-up gets no second one, so that calling it again changes nothing.
    """
    return int((await connection.execute(_RESYNC)).scalar_one())


def _each(kind: WakeupKind, of: str, where: str, *, limited: bool = False) -> str:
    """Return the SQL that wakes each row of a table that has no wake-up yet. ``of`` is the table with its alias."""
    _, _, alias = of.partition(" ")
    target = f"CAST({alias}.id AS text)"
    known = f"SELECT 1 FROM outbox o WHERE o.target = {target}"  # noqa: S608 (words of ours)
    end = "LIMIT :limit RETURNING 1" if limited else "RETURNING 1"
    return wakeups(kind, target, f"{alias}.id", f"FROM {of} WHERE {where} AND NOT EXISTS ({known}) {end}")


# A payout that was planned waits for its cycle, which wakes it.
_RESYNC: Final = text(
    spelled(
        f"""
WITH open AS MATERIALIZED (
    SELECT r.id FROM referral r
    WHERE r.closed_at IS NULL AND r.parked IS NULL AND r.merged_into IS NULL AND r.facts_version > 0
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = r.id)
), {
            wakeups_of_referrals(
                WakeupKind.FACT,
                "ARRAY(SELECT id FROM open)",
                newest_fact("its.id"),
                program="(SELECT program FROM referral WHERE id = its.id)",
            )
        }, payouts AS (
    {_each(WakeupKind.PAYOUT_DUE, "payout p", "p.state IN :payouts_under_way")}
), clawbacks AS (
    {_each(WakeupKind.CLAWBACK_DUE, "clawback b", "b.state IN :clawbacks_under_way")}
), cycles AS (
    {_each(WakeupKind.CYCLE_DUE, "payout_cycle c", "(c.state IN :going_on OR c.state IN :waiting)")}
), reconciliations AS (
    {_each(WakeupKind.RECONCILIATION_DUE, "reconciliation r", "r.state IN :unfinished")}
)
SELECT (SELECT count(*) FROM open) + (SELECT count(*) FROM payouts) + (SELECT count(*) FROM clawbacks)
       + (SELECT count(*) FROM cycles) + (SELECT count(*) FROM reconciliations)
""",  # noqa: S608 (words of ours)
        payouts_under_way=payouts.UNDER_WAY,
        clawbacks_under_way=clawbacks.UNDER_WAY,
        going_on=cycles.GOES_ON,
        waiting=cycles.WAITS,
        unfinished=UNFINISHED,
    )
)

#: Referrals that should have been judged, and since when; one may stand here twice.
_FOUND: Final = """
    SELECT id, told_at AS since FROM referral
    WHERE judged_version < facts_version AND told_at < CAST(:overdue_before AS timestamptz)
    UNION ALL
    SELECT id, wake_at FROM referral WHERE wake_at < CAST(:overdue_before AS timestamptz)
    UNION ALL
    SELECT referral_id, created_at FROM to_judge WHERE created_at < CAST(:overdue_before AS timestamptz)
"""

_LAG: Final = text(f"""
SELECT (SELECT count(*) FROM outbox WHERE batch_id IS NULL) AS depth,
       (SELECT min(created_at) FROM outbox WHERE batch_id IS NULL AND program IS NULL) AS first,
       (SELECT min(created_at) FROM outbox WHERE batch_id IS NULL AND program IS NOT NULL) AS in_turn,
       (SELECT count(DISTINCT id) FROM (SELECT id FROM ({_FOUND}) AS found LIMIT :most) AS counted) AS overdue
""")  # noqa: S608 (words of ours)


def _lagging(kind: WakeupKind, which: str) -> str:
    rest = f"FROM lagging WHERE {which} RETURNING 1"
    return wakeups(kind, "lagging.id", newest_fact("lagging.id"), rest, program="lagging.program")


#: A clawback waits for an hour by itself at most; nearly all reconciliations take less, and whoever asked for one has
#: asked anew after a week.
_SWEEP: Final = text(
    spelled(
        f"""
WITH found AS ({_FOUND}), overdue AS MATERIALIZED (
    SELECT id, min(since) AS since FROM found GROUP BY id
), lagging AS MATERIALIZED (
    SELECT r.id, r.program, s.times FROM overdue JOIN referral r USING (id) LEFT JOIN swept s ON s.referral_id = r.id
    WHERE r.parked IS NULL AND r.merged_into IS NULL AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = r.id)
      AND (s.until IS NULL OR s.until <= CAST(:now AS timestamptz))
    ORDER BY overdue.since, r.id LIMIT :limit
), started AS (
    {_lagging(WakeupKind.REFERRAL_OVERDUE, "times IS NULL")}
), signalled AS (
    {_lagging(WakeupKind.FACT, "times IS NOT NULL")}
), noted AS (
    INSERT INTO swept AS s (referral_id, times, until)
    SELECT id, 1, CAST(:now AS timestamptz) + interval '2 minutes' FROM lagging
    ON CONFLICT (referral_id) DO UPDATE
    SET times = s.times + 1,
        until = CAST(:now AS timestamptz) + least(interval '2 minutes' * power(2, least(s.times, 12)), interval '1 day')
), caught_up AS (
    DELETE FROM swept s WHERE NOT EXISTS (SELECT 1 FROM overdue WHERE overdue.id = s.referral_id)
), payouts AS (
    {
            _each(
                WakeupKind.PAYOUT_OVERDUE,
                "payout p",
                '''p.state IN :payouts_under_way
      AND CASE WHEN p.state IN :being_sent THEN coalesce(p.due_at, p.updated_at) ELSE p.due_at END
          < CAST(:overdue_before AS timestamptz)''',
                limited=True,
            )
        }
), clawbacks AS (
    {
            _each(
                WakeupKind.CLAWBACK_DUE,
                "clawback b",
                '''b.state IN :clawbacks_under_way
      AND b.updated_at < CAST(:overdue_before AS timestamptz) - interval '1 hour' ''',
                limited=True,
            )
        }
), cycles AS (
    {
            _each(
                WakeupKind.CYCLE_DUE,
                "payout_cycle c",
                '''(c.state IN :going_on AND c.updated_at < CAST(:overdue_before AS timestamptz)
           OR c.state IN :waiting
              AND c.updated_at < CAST(:overdue_before AS timestamptz) - interval '1 day')''',
                limited=True,
            )
        }
), reconciliations AS (
    {
            _each(
                WakeupKind.RECONCILIATION_DUE,
                "reconciliation r",
                '''r.state IN :unfinished
      AND r.asked_at < CAST(:overdue_before AS timestamptz) - interval '1 hour'
      AND r.asked_at > CAST(:overdue_before AS timestamptz) - interval '7 days' ''',
                limited=True,
            )
        }
), programs AS (
    {
            wakeups(
                WakeupKind.PROGRAM_DUE,
                "l.program",
                "CAST(md5('program:' || l.program) AS uuid)",
                '''FROM program_life l WHERE l.due_at < CAST(:overdue_before AS timestamptz)
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = l.program) LIMIT :limit RETURNING 1''',
            )
        }
)
SELECT (SELECT count(*) FROM lagging) + (SELECT count(*) FROM payouts) + (SELECT count(*) FROM clawbacks)
       + (SELECT count(*) FROM cycles) + (SELECT count(*) FROM reconciliations)
       + (SELECT count(*) FROM programs)
""",  # noqa: S608 (words of ours)
        payouts_under_way=payouts.UNDER_WAY,
        being_sent=payouts.BEING_SENT,
        clawbacks_under_way=clawbacks.UNDER_WAY,
        going_on=cycles.GOES_ON,
        waiting=cycles.WAITS,
        unfinished=UNFINISHED,
    )
)
