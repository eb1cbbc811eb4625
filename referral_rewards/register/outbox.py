"""The outbox: messages to workflows, stored in the transaction that causes them and deleted once delivered.

Decisions and money go first. News of facts names its program, and waits for the turn of that program: the back-fill of
one program delays neither what people decide nor the facts of another.

Only this module writes the table. A larger statement that itself finds which workflows to wake takes the SQL for it
from `wakeups`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


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
    PULL_DUE = "pull_due"


#: These wake a workflow other than a referral's.
_OF_NO_REFERRAL: Final = frozenset(
    {
        *(WakeupKind.PAYOUT_DUE, WakeupKind.PAYOUT_OVERDUE, WakeupKind.CLAWBACK_DUE),
        *(WakeupKind.CYCLE_DUE, WakeupKind.SCHEDULE_DUE),
        *(WakeupKind.RECONCILIATION_DUE, WakeupKind.PROGRAM_DUE, WakeupKind.PULL_DUE),
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
    trace: str | None = None  # of the newest request or step that caused one of them, while traces are taken
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


def newest_fact(referral: str) -> str:
    """Return the SQL for the newest fact of a referral, which a wake-up names that no single fact caused."""
    return f"(SELECT fact_id FROM referral_fact WHERE referral_id = {referral} ORDER BY version DESC LIMIT 1)"  # noqa: S608 (a name of ours)


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
            trace=row.trace,
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


async def wake_payouts(connection: AsyncConnection, rail: str, states: Collection[str]) -> None:
    """Wake the payouts over a rail that are in one of these states."""
    await connection.execute(_WAKE_PAYOUTS, {"rail": rail, "states": sorted(states)})


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
        newest_fact("woken.id"),
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
    SELECT id, kind, target, subject_id, trace FROM outbox WHERE batch_id IS NULL AND program IS NULL ORDER BY id
    LIMIT :limit FOR UPDATE SKIP LOCKED
), share AS MATERIALIZED (
    SELECT ceil(least(:in_turn, :limit - (SELECT count(*) FROM first)) / count(*)::numeric) AS each
    FROM waiting WHERE program IS NOT NULL HAVING count(*) > 0
), in_turn AS MATERIALIZED (
    SELECT o.id, o.kind, o.target, o.subject_id, o.trace
    FROM waiting CROSS JOIN LATERAL (
        SELECT id, kind, target, subject_id, trace FROM outbox
        WHERE batch_id IS NULL AND program = waiting.program ORDER BY id
        LIMIT (SELECT each FROM share) FOR UPDATE SKIP LOCKED
    ) AS o
    WHERE waiting.program IS NOT NULL
), held AS (
    SELECT * FROM first UNION ALL SELECT * FROM in_turn
), message AS (
    SELECT kind, target, (array_agg(subject_id ORDER BY id DESC))[1] AS subject, array_agg(id) AS ids, min(id) AS place,
           (array_agg(trace ORDER BY id DESC) FILTER (WHERE trace IS NOT NULL))[1] AS trace
    FROM held GROUP BY kind, target
)
SELECT m.kind, m.target, m.subject, m.ids, coalesce(r.program, c.program) AS program, r.referrer, r.channel, p.pays,
       m.trace, c.due_on, coalesce(r.is_first, p.is_first, false) AS is_first
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
