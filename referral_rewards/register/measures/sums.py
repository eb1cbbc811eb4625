"""The sums of a program's contributions over a period, exact at the moment of reading.

The daily sums lag behind the register by the referrals that are noted to be measured. What is read corrects them for
these: less what they are stored with, plus what they come to now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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


async def measures(connection: AsyncConnection, program: str, days: Days, now: datetime) -> Read:
    """Return the measures of a program. The connection's transaction must see one moment."""
    correction = await _correction(connection, program, now)
    sums = _corrected(await _summed(connection, program, days), correction, days)
    places = {
        (figure, share): await _quantile(connection, program, days, sums, correction, figure, share)
        for figure in DURATIONS
        for share in (0.5, 0.95)
    }
    return Read(Measures.of(sums, lambda figure, share: places[figure, share]), correction.behind)


async def _correction(connection: AsyncConnection, program: str, now: datetime) -> Correction:
    noted = (await connection.execute(_NOTED, {"program": program})).scalars().all()
    names = noted[:CORRECTED_MAX]
    before = [each.owned for each in await keeping.stored(connection, names)] if names else []
    after = await keeping.derived(connection, names, now) if names else []
    its = [[each.its for each in part if each.program == program] for part in (before, after)]
    return Correction(names, its[0], its[1], len(noted) - len(names))


def _corrected(sums: Sums, correction: Correction, days: Days) -> Sums:
    found: dict[Key, Sum] = dict(sums.of)
    for sign, part in ((-1, correction.before), (1, correction.after)):
        for key, change in Sums.over(part, days).of.items():
            known = found.get(key, Sum())
            found[key] = Sum(known.n + sign * change.n, known.amount + sign * change.amount)
    return Sums({key: each for key, each in found.items() if each != Sum()})


async def _summed(connection: AsyncConnection, program: str, days: Days) -> Sums:
    rows = await typed_rows.read(connection, _Total, _TOTALS, _asked(program, days))
    return Sums({(row.figure, row.part, row.currency): Sum(row.n, row.amount) for row in rows})


async def _quantile(
    connection: AsyncConnection,
    program: str,
    days: Days,
    sums: Sums,
    correction: Correction,
    figure: Figure,
    share: float,
) -> float | None:
    """Read the few durations around a quantile, and return it."""
    counted = {int(part): n for part, n in sums.parts(figure).items()}
    where = around(counted, share)
    if where is None:
        return None
    within = {"figure": figure, "first": Contribution.step(where.first), "last": Contribution.step(where.last)}
    corrected = {"corrected": list(correction.referrals)}
    rows = await connection.execute(_DURATIONS, {**_asked(program, days), **within, **corrected})
    fresh = [
        each.amount
        for each in correction.after
        if each.figure is figure and each.day in days and where.first <= int(each.part) <= where.last
    ]
    return quantile_among(sorted([*rows.scalars(), *fresh]), where, sum(counted.values()), share)


def _asked(program: str, days: Days) -> Mapping[str, object]:
    return {"program": program, "start": days.start, "end": days.end}


class _Total(NamedTuple):
    figure: Figure
    part: str
    currency: str
    n: int
    amount: int


_WITHIN: Final = """(CAST(:start AS date) IS NULL OR day >= CAST(:start AS date))
  AND (CAST(:end AS date) IS NULL OR day < CAST(:end AS date))"""

_TOTALS: Final = text(f"""
SELECT figure, part, currency, CAST(sum(n) AS bigint) AS n, CAST(sum(amount) AS bigint) AS amount
FROM measured_total WHERE program = :program AND {_WITHIN}
GROUP BY figure, part, currency
""")  # noqa: S608 (words of ours)

# Whoever is noted counts for the program that it has now, and for the one that its contributions name.
_NOTED: Final = text("""
SELECT DISTINCT t.referral_id FROM to_measure t LEFT JOIN referral r ON r.id = t.referral_id
WHERE r.program = :program
   OR EXISTS (SELECT 1 FROM measured_contribution m WHERE m.referral_id = t.referral_id AND m.program = :program)
ORDER BY t.referral_id
""")

_DURATIONS: Final = text(f"""
SELECT amount FROM measured_contribution
WHERE program = :program AND figure = :figure AND part BETWEEN :first AND :last AND {_WITHIN}
  AND referral_id <> ALL(CAST(:corrected AS text[]))
""")  # noqa: S608 (words of ours)
