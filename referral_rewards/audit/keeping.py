"""Keep what the examination of paid rewards came to, for reports over a million of them; an audit never reads it.

A trigger notes each referral of which a reward was paid or came back, and whoever removes marks notes theirs. A
transaction takes a batch of these notes and examines the referrals anew. What arrives after a payment was committed
changes nothing of it, and leaves no note.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.accuracy import Accuracy, Failing, accuracy, examined
from referral_rewards.audit.evidence import Span
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.loading import Means, published
from referral_rewards.audit.parts import Examined
from referral_rewards.audit.reading import arithmetic

#: How many notes one transaction takes.
BATCH: Final = 200
#: A report examines at most so many noted referrals by itself; those beyond count as they stood.
_AT_ONCE: Final = 100
#: A report lists at most so many rewards that fail.
LISTED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """The accuracy, and how many referrals count as they stood before, because they were paid so lately."""

    accuracy: Accuracy
    behind: int


async def catch_up(connection: AsyncConnection, means: Means) -> int:
    """Examine a batch of the referrals that are noted, and return how many notes were taken; zero if there is none."""
    notes = (await connection.execute(_TAKE, {"limit": BATCH})).all()
    names = sorted({note.referral_id for note in notes})
    if names:
        fresh = await _rows(connection, means, names)
        await connection.execute(_REMOVE, {"referrals": names})
        await connection.execute(_ADD, {"rewards": json.dumps(fresh)})
        await connection.execute(_FORGET, {"ids": [note.id for note in notes]})
    return len(notes)


async def read(connection: AsyncConnection, span: Span, means: Means, referrers: Collection[str] | None = None) -> Kept:
    """Return the accuracy of a span, of these ``referrers`` alone if they are named. What is noted and not kept yet is
    examined at once. The connection's transaction must see one moment."""
    noted = (await connection.execute(_NOTED, {"limit": _AT_ONCE})).scalars().all()
    asked = {
        "program": span.program,
        "since": span.since or date.min,
        "until": span.until or date.max,
        "referrers": None if referrers is None else sorted(referrers),
        "noted": list(noted),
        "limit": LISTED_MAX,
    }
    row = (await connection.execute(_SUM if referrers is None else _SUM_OF, asked)).one()
    kept = Accuracy(
        int(row.paid),
        int(row.accurate),
        int(row.by_decision),
        tuple(map(_failing, row.failing)),
        int(row.marks_removed),
    )
    live = [
        each
        async for each in examined(connection, span, means, noted)
        if referrers is None or each.reward.referrer in referrers
    ]
    behind = int((await connection.execute(_BEHIND, {"noted": list(noted)})).scalar_one())
    return Kept(_both(kept, accuracy(live)), behind)


def _both(one: Accuracy, other: Accuracy) -> Accuracy:
    its = sorted((*one.failing, *other.failing), key=lambda each: (each.referral, each.role))
    return Accuracy(
        paid=one.paid + other.paid,
        accurate=one.accurate + other.accurate,
        by_decision=one.by_decision + other.by_decision,
        failing=tuple(its[:LISTED_MAX]),
        marks_removed=one.marks_removed + other.marks_removed,
    )


async def _rows(connection: AsyncConnection, means: Means, referrals: Sequence[str]) -> list[Mapping[str, object]]:
    """The rows of the paid rewards of these referrals, whatever their programs; the newest terms have the calendar."""
    found = []
    for program, versions in (await published(connection)).items():
        zone = arithmetic.zone_of(versions[-1].terms)
        async for each in examined(connection, Span(program), means, referrals):
            found.append(_row(each, each.reward.settled_at.astimezone(zone).date()))
    return found


def _row(found: Examined, day: date) -> Mapping[str, object]:
    reward = found.reward
    return {
        "leg_id": str(reward.leg),
        "referral_id": reward.referral,
        "program": reward.program,
        "referrer": reward.referrer,
        "role": reward.role,
        "day": day.isoformat(),
        "failing": list(found.failing),
        "by_decision": found.held_by_decision,
        "marks_removed": found.marks_removed,
        "findings": [
            {"part": each.part, "what": each.what, "where": each.where, "payout": each.payout}
            for each in found.findings
        ],
    }


def _failing(kept: Mapping[str, Any]) -> Failing:
    referral, role = kept["referral_id"], kept["role"]
    findings = tuple(
        Finding(Part(each["part"]), each["what"], each["where"], referral, role, each["payout"])
        for each in kept["findings"]
    )
    return Failing(referral, role, tuple(map(Part, kept["failing"])), findings)


# Two that take notes at once wait for each other.
_TAKE: Final = text("SELECT id, referral_id FROM to_examine ORDER BY id LIMIT :limit FOR UPDATE")
_FORGET: Final = text("DELETE FROM to_examine WHERE id = ANY(CAST(:ids AS bigint[]))")

_TOTALS: Final = """
INSERT INTO examined_total AS total (program, day, paid, accurate, by_decision, marks_removed)
SELECT program, day, {sign} count(*), {sign} count(*) FILTER (WHERE failing = '{{}}'),
       {sign} count(*) FILTER (WHERE by_decision), {sign} count(*) FILTER (WHERE marks_removed)
FROM changed GROUP BY program, day ORDER BY program, day
ON CONFLICT (program, day) DO UPDATE
SET paid = total.paid + excluded.paid, accurate = total.accurate + excluded.accurate,
    by_decision = total.by_decision + excluded.by_decision,
    marks_removed = total.marks_removed + excluded.marks_removed
"""

_REMOVE: Final = text(f"""
WITH changed AS (
    DELETE FROM examined_reward WHERE referral_id = ANY(CAST(:referrals AS text[]))
    RETURNING program, day, failing, by_decision, marks_removed
)
{_TOTALS.format(sign="-")}
""")  # noqa: S608 (words of ours)

_ADD: Final = text(f"""
WITH changed AS (
    INSERT INTO examined_reward
        (leg_id, referral_id, program, referrer, role, day, failing, by_decision, marks_removed, findings)
    SELECT * FROM jsonb_to_recordset(CAST(:rewards AS jsonb)) AS r(
        leg_id uuid, referral_id text, program text, referrer text, role text, day date, failing text[],
        by_decision boolean, marks_removed boolean, findings jsonb)
    RETURNING program, day, failing, by_decision, marks_removed
)
{_TOTALS.format(sign="")}
""")  # noqa: S608 (words of ours)

_NOTED: Final = text("SELECT referral_id FROM to_examine GROUP BY referral_id ORDER BY min(id) LIMIT :limit")
_BEHIND: Final = text("""
SELECT count(DISTINCT referral_id) FROM to_examine WHERE referral_id <> ALL(CAST(:noted AS text[]))
""")

_IN_SPAN: Final = "program = :program AND day >= CAST(:since AS date) AND day < CAST(:until AS date)"
_FAILING: Final = f"""(
    SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') FROM (
        SELECT referral_id, role, failing, findings FROM examined_reward
        WHERE {_IN_SPAN} AND failing <> '{{}}' AND referral_id <> ALL(CAST(:noted AS text[]))
          AND (CAST(:referrers AS text[]) IS NULL OR referrer = ANY(CAST(:referrers AS text[])))
        ORDER BY referral_id, role LIMIT :limit
    ) AS f
) AS failing"""  # noqa: S608 (words of ours)
_COUNTS: Final = """count(*) AS paid, count(*) FILTER (WHERE failing = '{}') AS accurate,
       count(*) FILTER (WHERE by_decision) AS by_decision, count(*) FILTER (WHERE marks_removed) AS marks_removed"""

#: By the daily sums, less what is kept of the referrals that are noted.
_SUM: Final = text(f"""
SELECT coalesce(kept.paid, 0) - noted.paid AS paid, coalesce(kept.accurate, 0) - noted.accurate AS accurate,
       coalesce(kept.by_decision, 0) - noted.by_decision AS by_decision,
       coalesce(kept.marks_removed, 0) - noted.marks_removed AS marks_removed, {_FAILING}
FROM (
    SELECT sum(paid) AS paid, sum(accurate) AS accurate, sum(by_decision) AS by_decision,
           sum(marks_removed) AS marks_removed
    FROM examined_total WHERE {_IN_SPAN}
) AS kept CROSS JOIN (
    SELECT {_COUNTS} FROM examined_reward WHERE {_IN_SPAN} AND referral_id = ANY(CAST(:noted AS text[]))
) AS noted
""")  # noqa: S608 (words of ours)

#: Of some referrers, by what is kept of each reward.
_SUM_OF: Final = text(f"""
SELECT {_COUNTS}, {_FAILING}
FROM examined_reward
WHERE {_IN_SPAN} AND referrer = ANY(CAST(:referrers AS text[])) AND referral_id <> ALL(CAST(:noted AS text[]))
""")  # noqa: S608 (words of ours)
