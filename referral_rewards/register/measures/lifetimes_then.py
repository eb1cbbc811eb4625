"""What referrers brought as of a past moment, recomputed from what was on record then.

Nothing of it is kept. It reads every referral that is asked for, a batch at a time, and holds a sum for each referrer
and currency.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import Contribution, Figure, Purchase
from referral_rewards.register.measures.lifetimes import Begun, OfCohort, OfReferrer
from referral_rewards.register.measures.past import each_then
from referral_rewards.register.measures.sums import Asked

_FIGURES: Final = (Figure.LIFETIME, Figure.SETTLED, Figure.TAKEN_BACK)


@dataclass(slots=True)
class _Brought:
    """What the referees of one referrer, or of a cohort, brought in one currency."""

    customers: int = 0
    orders: int = 0
    revenue_minor: int = 0
    repeat_minor: int = 0
    cost_minor: int = 0

    def add(self, each: Contribution) -> None:
        if each.figure is Figure.LIFETIME:
            self.orders += each.n
            self.revenue_minor += each.amount
            self.repeat_minor += each.amount if each.part == Purchase.REPEAT else 0
        else:
            self.cost_minor += each.amount if each.figure is Figure.SETTLED else -each.amount

    def plus(self, other: "_Brought") -> "_Brought":
        return _Brought(*(mine + more for mine, more in zip(self.numbers(), other.numbers(), strict=True)))

    def numbers(self) -> tuple[int, int, int, int, int]:
        return (self.customers, self.orders, self.revenue_minor, self.repeat_minor, self.cost_minor)


@dataclass(frozen=True, slots=True)
class LifetimesThen:
    """What was on record of referrers before a moment; it answers what `LifetimesNow` does."""

    _months: dict[str, date] = field(default_factory=dict)
    _brought: defaultdict[tuple[str, str], _Brought] = field(default_factory=lambda: defaultdict(_Brought))

    def add(self, referrer: str, began: date, told: Iterable[Contribution]) -> None:
        """Count one referral, which began on a day of the program's calendar."""
        month = began.replace(day=1)
        self._months[referrer] = min(month, self._months.get(referrer, month))
        counted = [each for each in told if each.figure in _FIGURES]
        for each in counted:
            self._brought[referrer, each.currency].add(each)
        for currency in {each.currency for each in counted if each.figure is Figure.LIFETIME}:
            self._brought[referrer, currency].customers += 1

    async def of_referrers(self, *, after: str, limit: int | None) -> Sequence[OfReferrer]:
        """Return referrers by id after ``after``, each with a row for each currency. ``limit`` counts referrers."""
        listed = sorted({referrer for referrer, _ in self._brought if referrer > after})[:limit]
        shown = set(listed)
        return [row for row in self._rows() if row.referrer in shown]

    async def most(self, number: int) -> Sequence[OfReferrer]:
        """Return the referrers of the highest value, ``number`` in each currency."""
        by_value = sorted(
            self._rows(), key=lambda row: (row.currency, row.cost_minor - row.revenue_minor, row.referrer)
        )
        found, placed = [], Counter[str]()
        for row in by_value:
            placed[row.currency] += 1
            if placed[row.currency] <= number:
                found.append(row)
        return found

    async def of_cohorts(self) -> tuple[Sequence[Begun], Sequence[OfCohort]]:
        """Return each cohort's number of referrers, and what theirs came to by currency, oldest first."""
        sums: defaultdict[tuple[date, str], _Brought] = defaultdict(_Brought)
        for (referrer, currency), brought in self._brought.items():
            at = (self._months[referrer], currency)
            sums[at] = sums[at].plus(brought)
        begun = sorted(Counter(self._months.values()).items())
        return [Begun(*each) for each in begun], [OfCohort(*at, *its.numbers()) for at, its in sorted(sums.items())]

    def _rows(self) -> Sequence[OfReferrer]:
        return [
            OfReferrer(referrer, self._months[referrer], currency, *its.numbers())
            for (referrer, currency), its in sorted(self._brought.items(), key=lambda item: item[0])
        ]


async def lifetimes_then(connection: AsyncConnection, asked: Asked, zone: ZoneInfo, moment: datetime) -> LifetimesThen:
    """Return what was on record before a moment of the referrals that are asked for.

    The connection's transaction must see one moment.
    """
    found = LifetimesThen()
    async for each in each_then(connection, asked, moment):
        if each.referrer is not None:
            found.add(each.referrer, each.began_at.astimezone(zone).date(), each.told)
    return found
