"""The outbox: messages to workflows, stored in the transaction that causes them and deleted once delivered.

Decisions and money go first. News of facts names its program, and waits for the turn of that program: the back-fill of
one program delays neither what people decide nor the facts of another.

Only this module writes the table. A larger statement that itself finds which workflows to wake takes the SQL for it
from `wakeups`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.books.reconciliation import UNFINISHED
from referral_rewards.domain.clawbacks import states as clawbacks
from referral_rewards.domain.cycles import states as cycles
from referral_rewards.domain.payouts import states as payouts


class WakeupKind(StrEnum):
    """What a wake-up is about. Its subject is the id of that fact, decision, payout, clawback case, cycle and so on."""

    FACT = "fact"
    DECISION = "decision"
    PAYOUT_DUE = "payout_due"
    PAYOUT_OVERDUE = "payout_overdue"
    REFERRAL_OVERDUE = "referral_overdue"
    PAYOUT_SETTLED = "payout_settled"
    CLAWBACK_DUE = "clawback_due"
    CYCLE_DUE = "cycle_due"
    SCHEDULE_DUE = "schedule_due"
    RECONCILIATION_DUE = "reconciliation_due"
    PROGRAM_DUE = "program_due"


#: A signal takes far less time. Whatever lags longer than this is woken again.
OVERDUE_AFTER: Final = timedelta(minutes=2)
OVERDUE_COUNTED: Final = 10_000

#: These wake a workflow other than a referral's.
_OF_NO_REFERRAL: Final = frozenset(
    {
        *(WakeupKind.PAYOUT_DUE, WakeupKind.PAYOUT_OVERDUE, WakeupKind.CLAWBACK_DUE),
        *(WakeupKind.CYCLE_DUE, WakeupKind.SCHEDULE_DUE),
        *(WakeupKind.RECONCILIATION_DUE, WakeupKind.PROGRAM_DUE),
    }
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """All wake-ups of one kind for one target, delivered as one message that names the newest subject."""

    kind: WakeupKind
    target: str
    subject: UUID
    ids: tuple[int, ...]
    program: str | None = None
    referrer: str | None = None
    channel: str | None = None
    pays: str | None = None  # for a payout: the referral whose reward it pays, or the program if a cycle pays it
    due_on: date | None = None  # for a cycle
    is_first: bool = False  # for a referral that was never judged, or a payout that was never sent: no run may know it


async def enqueue(connection: AsyncConnection, kind: WakeupKind, target: str, subject: UUID) -> None:
    """Store a wake-up in the caller's transaction. A referral also stays listed in `to_judge` until it is judged."""
    statement = _ENQUEUE if kind in _OF_NO_REFERRAL else _ENQUEUE_JUDGEMENT
    await connection.execute(statement, {"kind": kind, "target": target, "subject": subject})


async def is_listed(connection: AsyncConnection, referral: str) -> bool:
    """Return whether the referral is listed to be judged. The caller holds its row."""
    return bool((await connection.execute(_IS_LISTED, {"referral": referral})).scalar_one())


async def enqueue_newest_fact(connection: AsyncConnection, referrals: Sequence[str], batch: UUID | None = None) -> None:
    """Have referrals judged again although no new fact concerns them; each wake-up names the referral's newest fact.

    With a ``batch`` the wake-ups are held back until that batch is complete (`release`).
    """
    await connection.execute(_ENQUEUE_NEWEST_FACT, {"referrals": list(referrals), "batch": batch})


async def release(connection: AsyncConnection, batches: Sequence[UUID]) -> None:
    """Release the wake-ups that waited for these batches of facts."""
    await connection.execute(_RELEASE, {"batches": list(batches)})


def wakeups(
    kind: WakeupKind, target: str, subject: str, rest: str, *, program: str = "NULL", batch: str = "NULL"
) -> str:
    """Return the SQL that stores a wake-up for each row of a query, for use in a larger statement.

    ``rest`` is the query from its FROM on; the others are expressions over its columns. ``program`` is the one whose
    turn the wake-up waits for; without one it goes first.
    """
    return f"""INSERT INTO outbox (kind, target, subject_id, program, batch_id)
    SELECT '{kind}', {target}, {subject}, CAST({program} AS text), CAST({batch} AS uuid) {rest}"""


def wakeups_of_referrals(kind: WakeupKind, referrals: str, subject: str, *, program: str = "NULL") -> str:
    """Return two parts of a WITH that wake each referral of an array and list it in `to_judge`, as `enqueue` does."""
    rest = f"FROM unnest({referrals}) AS its(id)"
    return f"""listed AS (INSERT INTO to_judge (referral_id) SELECT its.id {rest}),
woken AS ({wakeups(kind, "its.id", subject, rest, program=program)})"""


async def claim(connection: AsyncConnection, limit: int, in_turn: int | None = None) -> list[Delivery]:
    """Lock up to ``limit`` waiting wake-ups until the transaction ends, and return them coalesced.

    What goes first comes first; the rest is taken of each program in equal parts, and is at most ``in_turn`` and one
    for each program. Wake-ups that another relay holds are skipped.
    """
    rows = await connection.execute(_CLAIM, {"limit": limit, "in_turn": limit if in_turn is None else in_turn})
    return [
        Delivery(
            kind=WakeupKind(row.kind),
            target=row.target,
            subject=row.subject,
            ids=tuple(row.ids),
            program=row.program,
            referrer=row.referrer,
            channel=row.channel,
            pays=row.pays,
            due_on=row.due_on,
            is_first=row.is_first,
        )
        for row in rows
    ]


async def delivered(connection: AsyncConnection, ids: Sequence[int]) -> None:
    """Delete wake-ups that were delivered."""
    await connection.execute(_DELIVERED, {"ids": list(ids)})


async def unjudged(connection: AsyncConnection, referrals: Collection[str]) -> frozenset[str]:
    """Return which of these referrals have facts that they were not judged on yet."""
    return frozenset((await connection.execute(_UNJUDGED, {"referrals": sorted(referrals)})).scalars())


async def sweep(connection: AsyncConnection, now: datetime, limit: int = 500) -> int:
    """Wake what should have moved and did not, and return how many workflows that is.

    These are referrals that were not judged on their newest facts or slept past their wake-up time, and overdue
    payouts, clawbacks, cycles, reconciliations and acts on programs. A signal can be lost with its server and a
    workflow can be terminated; the register knows what should be running.

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


async def wake_payouts(connection: AsyncConnection, rail: str, states: Collection[str]) -> None:
    """Wake the payouts over a rail that are in one of these states."""
    await connection.execute(_WAKE_PAYOUTS, {"rail": rail, "states": sorted(states)})


async def resync(connection: AsyncConnection) -> int:
    """Wake everything that is open in the register, and return how many workflows that is.

    After Temporal was lost or restored, what should run may not, and what waits for news may have missed it. What
    already has a wake-up gets no second one, so that calling it again changes nothing.
    """
    return int((await connection.execute(_RESYNC)).scalar_one())


_WAKE_PAYOUTS: Final = text("""
INSERT INTO outbox (kind, target, subject_id)
SELECT 'payout_due', p.id::text, p.id FROM payout p
WHERE p.rail = :rail AND p.state = ANY(CAST(:states AS text[]))
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = p.id::text)
""")

_IS_LISTED: Final = text("SELECT EXISTS (SELECT 1 FROM to_judge WHERE referral_id = :referral)")

_ENQUEUE: Final = text("INSERT INTO outbox (kind, target, subject_id) VALUES (:kind, :target, :subject)")

_ENQUEUE_JUDGEMENT: Final = text("""
WITH listed AS (INSERT INTO to_judge (referral_id) VALUES (:target))
INSERT INTO outbox (kind, target, subject_id) VALUES (:kind, :target, :subject)
""")

_ENQUEUE_NEWEST_FACT: Final = text(f"""
WITH woken AS (SELECT id, program FROM referral WHERE id = ANY(CAST(:referrals AS text[]))), listed AS (
    INSERT INTO to_judge (referral_id) SELECT id FROM woken
)
{
    wakeups(
        WakeupKind.FACT,
        "woken.id",
        "(SELECT fact_id FROM referral_fact WHERE referral_id = woken.id ORDER BY version DESC LIMIT 1)",
        "FROM woken",
        program="woken.program",
        batch=":batch",
    )
}
""")  # noqa: S608 (words of ours alone)

_RELEASE: Final = text("UPDATE outbox SET batch_id = NULL WHERE batch_id = ANY(CAST(:batches AS uuid[]))")

#: A part of a WITH that removes the ``:referral`` from `to_judge`. It stands in the statement that reads decisions and
#: payouts, so that an entry for a later one stays.
JUDGED: Final = "judged AS (DELETE FROM to_judge WHERE referral_id = :referral)"

_CLAIM: Final = text("""
WITH RECURSIVE waiting AS (
    SELECT min(program) AS program FROM outbox WHERE batch_id IS NULL AND program IS NOT NULL
    UNION ALL
    SELECT (SELECT min(o.program) FROM outbox o WHERE o.batch_id IS NULL AND o.program > waiting.program)
    FROM waiting WHERE waiting.program IS NOT NULL
), first AS MATERIALIZED (
    SELECT id, kind, target, subject_id FROM outbox WHERE batch_id IS NULL AND program IS NULL ORDER BY id
    LIMIT :limit FOR UPDATE SKIP LOCKED
), share AS MATERIALIZED (
    SELECT ceil(least(:in_turn, :limit - (SELECT count(*) FROM first)) / count(*)::numeric) AS each
    FROM waiting WHERE program IS NOT NULL HAVING count(*) > 0
), in_turn AS MATERIALIZED (
    SELECT o.id, o.kind, o.target, o.subject_id
    FROM waiting CROSS JOIN LATERAL (
        SELECT id, kind, target, subject_id FROM outbox
        WHERE batch_id IS NULL AND program = waiting.program ORDER BY id
        LIMIT (SELECT each FROM share) FOR UPDATE SKIP LOCKED
    ) AS o
    WHERE waiting.program IS NOT NULL
), held AS (
    SELECT * FROM first UNION ALL SELECT * FROM in_turn
), message AS (
    SELECT kind, target, (array_agg(subject_id ORDER BY id DESC))[1] AS subject, array_agg(id) AS ids, min(id) AS place
    FROM held GROUP BY kind, target
)
SELECT m.kind, m.target, m.subject, m.ids, coalesce(r.program, c.program) AS program, r.referrer, r.channel, p.pays,
       c.due_on, coalesce(r.is_first, p.is_first, false) AS is_first
FROM message m
LEFT JOIN LATERAL (
    SELECT program, referrer, channel, judged_at IS NULL AS is_first FROM referral
    WHERE id = m.target AND m.kind IN ('fact', 'decision', 'payout_settled', 'referral_overdue') OFFSET 0
) AS r ON true
LEFT JOIN LATERAL (
    SELECT coalesce(referral_id, body->>'program') AS pays, first_sent_at IS NULL AS is_first FROM payout
    WHERE id = m.subject AND m.kind IN ('payout_due', 'payout_overdue') OFFSET 0
) AS p ON true
LEFT JOIN LATERAL (
    SELECT program, due_on FROM payout_cycle WHERE id = m.subject AND m.kind = 'cycle_due' OFFSET 0
) AS c ON true
ORDER BY m.place
""")

_UNJUDGED: Final = text("""
SELECT id FROM referral WHERE id = ANY(CAST(:referrals AS text[])) AND judged_version < facts_version
""")

_DELIVERED: Final = text("DELETE FROM outbox WHERE id = ANY(CAST(:ids AS bigint[]))")

# A payout that was planned waits for its cycle, which wakes it.
_RESYNC: Final = text(
    spelled(
        """
WITH referrals AS (
    INSERT INTO outbox (kind, target, program, subject_id)
    SELECT 'fact', r.id, r.program,
           (SELECT fact_id FROM referral_fact WHERE referral_id = r.id ORDER BY version DESC LIMIT 1)
    FROM referral r
    WHERE r.closed_at IS NULL AND r.parked IS NULL AND r.merged_into IS NULL AND r.facts_version > 0
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = r.id)
    RETURNING target
), listed AS (
    INSERT INTO to_judge (referral_id) SELECT target FROM referrals
), payouts AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'payout_due', p.id::text, p.id FROM payout p
    WHERE p.state IN :payouts_under_way AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = p.id::text)
    RETURNING 1
), clawbacks AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'clawback_due', b.id::text, b.id FROM clawback b
    WHERE b.state IN :clawbacks_under_way AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = b.id::text)
    RETURNING 1
), cycles AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'cycle_due', c.id::text, c.id FROM payout_cycle c
    WHERE (c.state IN :going_on OR c.state IN :waiting)
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = c.id::text)
    RETURNING 1
), reconciliations AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'reconciliation_due', r.id::text, r.id FROM reconciliation r
    WHERE r.state IN :unfinished AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = r.id::text)
    RETURNING 1
)
SELECT (SELECT count(*) FROM referrals) + (SELECT count(*) FROM payouts) + (SELECT count(*) FROM clawbacks)
       + (SELECT count(*) FROM cycles) + (SELECT count(*) FROM reconciliations)
""",
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
), woken AS (
    INSERT INTO outbox (kind, target, program, subject_id)
    SELECT CASE WHEN times IS NULL THEN 'referral_overdue' ELSE 'fact' END, lagging.id, lagging.program,
           (SELECT fact_id FROM referral_fact WHERE referral_id = lagging.id ORDER BY version DESC LIMIT 1)
    FROM lagging RETURNING 1
), noted AS (
    INSERT INTO swept AS s (referral_id, times, until)
    SELECT id, 1, CAST(:now AS timestamptz) + interval '2 minutes' FROM lagging
    ON CONFLICT (referral_id) DO UPDATE
    SET times = s.times + 1,
        until = CAST(:now AS timestamptz) + least(interval '2 minutes' * power(2, least(s.times, 12)), interval '1 day')
), caught_up AS (
    DELETE FROM swept s WHERE NOT EXISTS (SELECT 1 FROM overdue WHERE overdue.id = s.referral_id)
), payouts AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'payout_overdue', p.id::text, p.id FROM payout p
    WHERE p.state IN :payouts_under_way
      AND CASE WHEN p.state IN :being_sent THEN coalesce(p.due_at, p.updated_at) ELSE p.due_at END
          < CAST(:overdue_before AS timestamptz)
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = p.id::text)
    LIMIT :limit RETURNING 1
), clawbacks AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'clawback_due', b.id::text, b.id FROM clawback b
    WHERE b.state IN :clawbacks_under_way
      AND b.updated_at < CAST(:overdue_before AS timestamptz) - interval '1 hour'  -- the longest of its own waits
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = b.id::text)
    LIMIT :limit RETURNING 1
), cycles AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'cycle_due', c.id::text, c.id FROM payout_cycle c
    WHERE (c.state IN :going_on AND c.updated_at < CAST(:overdue_before AS timestamptz)
           OR c.state IN :waiting
              AND c.updated_at < CAST(:overdue_before AS timestamptz) - interval '1 day')
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = c.id::text)
    LIMIT :limit RETURNING 1
), reconciliations AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'reconciliation_due', r.id::text, r.id FROM reconciliation r
    WHERE r.state IN :unfinished
      AND r.asked_at < CAST(:overdue_before AS timestamptz) - interval '1 hour'  -- longer than nearly all of them take
      AND r.asked_at > CAST(:overdue_before AS timestamptz) - interval '7 days'  -- whoever asked has asked anew by then
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = r.id::text)
    LIMIT :limit RETURNING 1
), programs AS (
    INSERT INTO outbox (kind, target, subject_id)
    SELECT 'program_due', l.program, CAST(md5('program:' || l.program) AS uuid) FROM program_life l
    WHERE l.due_at < CAST(:overdue_before AS timestamptz)
      AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.target = l.program)
    LIMIT :limit RETURNING 1
)
SELECT (SELECT count(*) FROM woken) + (SELECT count(*) FROM payouts) + (SELECT count(*) FROM clawbacks)
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
