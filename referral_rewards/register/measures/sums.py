"""The sums of a program's contributions over a period, exact at the moment of reading: of all, or of some referrers.

The daily sums lag behind the register by the referrals that are noted to be measured. What is read corrects them for
these: less what they are stored with, plus what they come to now.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import DURATIONS, Contribution, Figure
from referral_rewards.domain.measures.measures import Days, Key, Measures, Sum, Sums
from referral_rewards.domain.measures.quantiles import around, quantile_among
from referral_rewards.register import typed_rows
from referral_rewards.register.measures import keeping

#: As many referrals are corrected for at most; of more, some count as they stood when they were last measured.
CORRECTED_MAX: Final = 1_000


class Correction(NamedTuple):
    """Which referrals are newer than the sums, what they are in them with, and what they come to now. ``behind`` are
    how many more there are, which are not corrected for."""

    referrals: Sequence[str]
    before: Sequence[Contribution]
    after: Sequence[Contribution]
    behind: int


@dataclass(frozen=True, slots=True)
class Read:
    """The measures of a period, and how many referrals count as they stood before (`CORRECTED_MAX`)."""

    measures: Measures
    behind: int


class Asked(NamedTuple):
    """Which referrals of a program, and over which days. ``referrers`` are the only ones whose referrals count; None is
    everybody."""

    program: str
    days: Days = Days()
    referrers: Sequence[str] | None = None


async def measures(connection: AsyncConnection, asked: Asked, now: datetime) -> Read:
    """Return the measures that were asked for. The connection's transaction must see one moment."""
    correction = await _correction(connection, asked, now)
    sums = _corrected(await _summed(connection, asked), correction, asked.days)
    places = {
        (figure, share): await _quantile(connection, asked, sums, correction, figure, share)
        for figure in DURATIONS
        for share in (0.5, 0.95)
    }
    return Read(Measures.of(sums, lambda figure, share: places[figure, share]), correction.behind)


async def total(
    connection: AsyncConnection, asked: Asked, figures: Sequence[Figure], now: datetime
) -> tuple[Sums, int]:
    """Return the sums of a few figures, and how many referrals count as they stood before."""
    correction = await _correction(connection, asked, now)
    sums = _corrected(await _summed(connection, asked, figures), correction, asked.days)
    wanted = frozenset(figures)
    return Sums({key: each for key, each in sums.of.items() if key[0] in wanted}), correction.behind


class Step(StrEnum):
    """How a period is cut for a chart."""

    DAY = "day"
    MONTH = "month"


async def over_time(connection: AsyncConnection, asked: Asked, step: Step, now: datetime) -> list[tuple[date, Sums]]:
    """Return the sums of each day or month that has any, oldest first, by its first day."""
    correction = await _correction(connection, asked, now)
    rows = await typed_rows.read(connection, _DatedTotal, _OVER_TIME, {**_parameters(asked), "step": step.value})
    found: defaultdict[date, dict[Key, Sum]] = defaultdict(dict)
    for row in rows:
        found[row.first][row.figure, row.part, row.currency] = Sum(row.n, row.amount)
    for part in (correction.before, correction.after):
        for each in part:
            if each.day in asked.days:
                found.setdefault(first_of(each.day, step), {})
    return [
        (first, _corrected(Sums(its), correction, _days(first, step, asked.days)))
        for first, its in sorted(found.items())
    ]


def first_of(day: date, step: Step) -> date:
    """Return the first day of the step that a day lies in."""
    return day if step is Step.DAY else day.replace(day=1)


def _days(first: date, step: Step, within: Days) -> Days:
    """The days of a step that lie in the period."""
    end = first + timedelta(days=1) if step is Step.DAY else (first + timedelta(days=32)).replace(day=1)
    return Days(max(first, within.start or first), min(end, within.end or end))


async def referrers_of(connection: AsyncConnection, program: str, partner: str) -> Sequence[str]:
    """Return the referrers whom an enrolment in the program ever named as this partner's."""
    found = await connection.execute(_PARTNERS, {"program": program, "partner": partner})
    return found.scalars().all()


class Behind(NamedTuple):
    """A referral that adds to a figure, with what it adds in the period."""

    referral_id: str
    day: date
    part: str
    currency: str
    n: int
    amount: int


async def behind(
    connection: AsyncConnection, asked: Asked, figure: Figure, part: str | None, after: str, limit: int
) -> Sequence[Behind]:
    """Return the referrals that add to a figure, or to one part of it, by id after ``after``. They are as of the last
    time that each was measured, some seconds ago."""
    of = {"figure": figure, "part": part, "after": after, "limit": limit}
    return await typed_rows.read(connection, Behind, _BEHIND, {**_parameters(asked), **of})


async def _correction(connection: AsyncConnection, asked: Asked, now: datetime) -> Correction:
    noted = (await connection.execute(_NOTED, _parameters(asked))).scalars().all()
    names = noted[:CORRECTED_MAX]
    before = [each.owned for each in await keeping.stored(connection, names)] if names else []
    after = await keeping.derived(connection, names, now) if names else []
    its = [[each.its for each in part if each.program == asked.program] for part in (before, after)]
    return Correction(names, its[0], its[1], len(noted) - len(names))


def _corrected(sums: Sums, correction: Correction, days: Days) -> Sums:
    found: dict[Key, Sum] = dict(sums.of)
    for sign, part in ((-1, correction.before), (1, correction.after)):
        for key, change in Sums.over(part, days).of.items():
            known = found.get(key, Sum())
            found[key] = Sum(known.n + sign * change.n, known.amount + sign * change.amount)
    return Sums({key: each for key, each in found.items() if each != Sum()})


async def _summed(connection: AsyncConnection, asked: Asked, figures: Sequence[Figure] | None = None) -> Sums:
    """Read the daily sums, or of some referrers the contributions themselves; of all figures or of some."""
    statement = _TOTALS if asked.referrers is None else _SUMS_OF_SOME
    names = None if figures is None else [each.value for each in figures]
    rows = await typed_rows.read(connection, _Total, statement, {**_parameters(asked), "figures": names})
    return Sums({(row.figure, row.part, row.currency): Sum(row.n, row.amount) for row in rows})


async def _quantile(
    connection: AsyncConnection, asked: Asked, sums: Sums, correction: Correction, figure: Figure, share: float
) -> float | None:
    """Read the few durations around a quantile, and return it."""
    counted = {int(part): n for part, n in sums.parts(figure).items()}
    where = around(counted, share)
    if where is None:
        return None
    within = {"figure": figure, "first": Contribution.step(where.first), "last": Contribution.step(where.last)}
    corrected = {"corrected": list(correction.referrals)}
    rows = await connection.execute(_DURATIONS, {**_parameters(asked), **within, **corrected})
    fresh = [
        each.amount
        for each in correction.after
        if each.figure is figure and each.day in asked.days and where.first <= int(each.part) <= where.last
    ]
    return quantile_among(sorted([*rows.scalars(), *fresh]), where, sum(counted.values()), share)


def _parameters(asked: Asked) -> Mapping[str, object]:
    some = None if asked.referrers is None else list(asked.referrers)
    return {"program": asked.program, "start": asked.days.start, "end": asked.days.end, "referrers": some}


class _Total(NamedTuple):
    figure: Figure
    part: str
    currency: str
    n: int
    amount: int


class _DatedTotal(NamedTuple):
    first: date
    figure: Figure
    part: str
    currency: str
    n: int
    amount: int


_WITHIN: Final = """(CAST(:start AS date) IS NULL OR day >= CAST(:start AS date))
  AND (CAST(:end AS date) IS NULL OR day < CAST(:end AS date))"""

_OF_FIGURES: Final = "(CAST(:figures AS text[]) IS NULL OR figure = ANY(CAST(:figures AS text[])))"

#: Whether a referral is of those that were asked for.
_OF_THESE: Final = """(CAST(:referrers AS text[]) IS NULL OR EXISTS (
    SELECT 1 FROM referral r WHERE r.id = referral_id AND r.referrer = ANY(CAST(:referrers AS text[]))))"""

_TOTALS: Final = text(f"""
SELECT figure, part, currency, CAST(sum(n) AS bigint) AS n, CAST(sum(amount) AS bigint) AS amount
FROM measured_total WHERE program = :program AND {_WITHIN} AND {_OF_FIGURES}
GROUP BY figure, part, currency
""")  # noqa: S608 (words of ours)

# The daily sums, or of some referrers the contributions themselves.
_OVER_TIME: Final = text(f"""
SELECT CAST(date_trunc(:step, day) AS date) AS first, figure, part, currency, CAST(sum(n) AS bigint) AS n,
       CAST(sum(amount) AS bigint) AS amount
FROM (
    SELECT day, figure, part, currency, n, amount FROM measured_total
    WHERE program = :program AND CAST(:referrers AS text[]) IS NULL
    UNION ALL
    SELECT m.day, m.figure, m.part, m.currency, m.n, m.amount
    FROM referral r JOIN measured_contribution m ON m.referral_id = r.id
    WHERE r.program = :program AND r.referrer = ANY(CAST(:referrers AS text[])) AND m.program = :program
) AS added WHERE {_WITHIN}
GROUP BY first, figure, part, currency
""")  # noqa: S608 (words of ours)

_SUMS_OF_SOME: Final = text(f"""
SELECT m.figure, m.part, m.currency, CAST(sum(m.n) AS bigint) AS n, CAST(sum(m.amount) AS bigint) AS amount
FROM referral r JOIN measured_contribution m ON m.referral_id = r.id
WHERE r.program = :program AND r.referrer = ANY(CAST(:referrers AS text[])) AND m.program = :program AND {_WITHIN}
  AND {_OF_FIGURES}
GROUP BY m.figure, m.part, m.currency
""")  # noqa: S608 (words of ours)

# Whoever is noted counts for the program that it has now, and for the one that its contributions name.
_NOTED: Final = text(f"""
SELECT DISTINCT referral_id FROM to_measure
WHERE (EXISTS (SELECT 1 FROM referral r WHERE r.id = referral_id AND r.program = :program)
       OR EXISTS (SELECT 1 FROM measured_contribution m
                  WHERE m.referral_id = to_measure.referral_id AND m.program = :program))
  AND {_OF_THESE}
ORDER BY referral_id
""")  # noqa: S608 (words of ours)

_DURATIONS: Final = text(f"""
SELECT amount FROM measured_contribution
WHERE program = :program AND figure = :figure AND part BETWEEN :first AND :last AND {_WITHIN} AND {_OF_THESE}
  AND referral_id <> ALL(CAST(:corrected AS text[]))
""")  # noqa: S608 (words of ours)

_PARTNERS: Final = text("""
SELECT DISTINCT data->>'referrer' FROM fact
WHERE type = 'referrer.enrolled' AND data ? 'partner' AND data->>'program' = :program AND data->>'partner' = :partner
ORDER BY 1
""")

_BEHIND: Final = text(f"""
SELECT referral_id, min(day) AS day, min(part) AS part, currency, CAST(sum(n) AS bigint) AS n,
       CAST(sum(amount) AS bigint) AS amount
FROM measured_contribution
WHERE program = :program AND figure = :figure AND (CAST(:part AS text) IS NULL OR part = :part) AND {_WITHIN}
  AND {_OF_THESE} AND referral_id > :after
GROUP BY referral_id, currency ORDER BY referral_id, currency LIMIT :limit
""")  # noqa: S608 (words of ours)
