"""The sums of a program's contributions as of a past moment, recomputed from what was on record then.

Nothing of it is kept. It reads every referral of the program, a batch at a time, and holds only sums, and the durations
whose quantiles are asked for.
"""

from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import DURATIONS, Contribution, Figure, contributions
from referral_rewards.domain.measures.measures import Days, Key, Measures, Sum, Sums
from referral_rewards.domain.measures.quantiles import quantile
from referral_rewards.register import typed_rows
from referral_rewards.register.measures.lives import lives_then
from referral_rewards.register.measures.sums import Asked, Behind, Step, first_of

#: How many referrals are read at a time.
_BATCH: Final = 500


class _Dated(NamedTuple):
    day: date
    key: Key


@dataclass(frozen=True, slots=True)
class Past:
    """What was on record of a program's referrals before a moment: sums by day, and durations by the day they ended."""

    _sums: dict[_Dated, Sum] = field(default_factory=dict)
    _durations: defaultdict[tuple[Figure, date], "array[int]"] = field(
        default_factory=lambda: defaultdict(lambda: array("q"))
    )

    def add(self, each: Contribution) -> None:
        at = _Dated(each.day, (each.figure, each.part, each.currency))
        known = self._sums.get(at, Sum())
        self._sums[at] = Sum(known.n + each.n, known.amount + each.amount)
        if each.figure in DURATIONS:
            self._durations[each.figure, each.day].append(each.amount)

    def sums(self, days: Days) -> Sums:
        """Return the sums of a period."""
        return _summed((key, each) for (day, key), each in self._sums.items() if day in days)

    def measures(self, days: Days) -> Measures:
        """Return the measures of a period."""

        def timed(figure: Figure, share: float) -> float | None:
            parts = (values for (its, day), values in self._durations.items() if its is figure and day in days)
            return quantile(sorted(value for values in parts for value in values), share)

        return Measures.of(self.sums(days), timed)

    def over_time(self, step: Step, days: Days) -> list[tuple[date, Sums]]:
        """Return the sums of each day or month of a period that has any, oldest first, by its first day."""
        found: defaultdict[date, list[tuple[Key, Sum]]] = defaultdict(list)
        for (day, key), each in self._sums.items():
            if day in days:
                found[first_of(day, step)].append((key, each))
        return [(first, _summed(its)) for first, its in sorted(found.items())]


class Then(NamedTuple):
    """A referral as it stood before a moment: whose it is, when it began, and what it adds to the figures."""

    referral: str
    referrer: str | None
    began_at: datetime
    told: Sequence[Contribution]


async def past(connection: AsyncConnection, asked: Asked, moment: datetime) -> Past:
    """Return what was on record before a moment of the referrals that are asked for, on all days.

    The connection's transaction must see one moment.
    """
    found = Past()
    async for each in each_then(connection, asked, moment):
        for contribution in each.told:
            found.add(contribution)
    return found


async def behind_then(
    connection: AsyncConnection,
    asked: Asked,
    moment: datetime,
    figure: Figure,
    part: str | None,
    after: str,
    limit: int,
) -> Sequence[Behind]:
    """Return the referrals that added to a figure, or to one part of it, before a moment; by id after ``after``."""
    found: list[Behind] = []
    async for each in each_then(connection, asked, moment, after):
        found += _behind(each, asked.days, figure, part)
        if len(found) >= limit:
            break
    return found[:limit]


def _behind(each: Then, days: Days, figure: Figure, part: str | None) -> Iterator[Behind]:
    """Yield what a referral adds to a figure in a period, by currency."""
    its: defaultdict[str, list[Contribution]] = defaultdict(list)
    for one in each.told:
        if one.figure is figure and one.day in days and part in (None, one.part):
            its[one.currency].append(one)
    for currency, told in sorted(its.items()):
        yield Behind(
            each.referral,
            min(one.day for one in told),
            min(one.part for one in told),
            currency,
            sum(one.n for one in told),
            sum(one.amount for one in told),
        )


async def each_then(
    connection: AsyncConnection, asked: Asked, moment: datetime, after: str = ""
) -> AsyncIterator[Then]:
    """Yield each referral that is asked for and was on record before a moment, by id after ``after``."""
    while names := await _names(connection, asked, after):
        referrers = dict(names)
        lives = await lives_then(connection, list(referrers), moment)
        for each in sorted(lives, key=lambda one: one.life.referral):
            told = contributions(each.life, each.terms.zone)
            yield Then(each.life.referral, referrers[each.life.referral], each.life.began_at, told)
        after = names[-1].id


class _Name(NamedTuple):
    id: str
    referrer: str | None


async def _names(connection: AsyncConnection, asked: Asked, after: str) -> Sequence[_Name]:
    some = None if asked.referrers is None else list(asked.referrers)
    of: Mapping[str, object] = {"program": asked.program, "referrers": some, "after": after, "limit": _BATCH}
    return await typed_rows.read(connection, _Name, _NAMES, of)


def _summed(parts: Iterable[tuple[Key, Sum]]) -> Sums:
    found: dict[Key, Sum] = {}
    for key, each in parts:
        known = found.get(key, Sum())
        found[key] = Sum(known.n + each.n, known.amount + each.amount)
    return Sums(found)


_NAMES: Final = text("""
SELECT id, referrer FROM referral
WHERE program = :program AND id > :after
  AND (CAST(:referrers AS text[]) IS NULL OR referrer = ANY(CAST(:referrers AS text[])))
ORDER BY id LIMIT :limit
""")
