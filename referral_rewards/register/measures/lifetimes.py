"""What referrers bring over time: the revenue of their referees less the cost of the rewards, also by cohort.

It is read from the contributions that are kept, so it is as of the last time that each referral was measured, some
seconds ago.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain import calendar
from referral_rewards.domain.measures.figures import Figure, Purchase
from referral_rewards.register import typed_rows
from referral_rewards.register.measures.sums import Asked


class OfReferrer(NamedTuple):
    """A referrer, the month of their first referral, and what theirs came to in one currency, in minor units.

    ``customers`` are the referees for whom a reward was paid and who ordered in the currency, ``orders`` all that they
    ordered since; ``repeat_minor`` is the part of the revenue that came after the first order.
    """

    referrer: str
    month: date
    currency: str
    customers: int
    orders: int
    revenue_minor: int
    repeat_minor: int
    cost_minor: int


class OfCohort(NamedTuple):
    """The same of all referrers whose first referral began in a month."""

    month: date
    currency: str
    customers: int
    orders: int
    revenue_minor: int
    repeat_minor: int
    cost_minor: int


class Begun(NamedTuple):
    """How many referrers referred for the first time in a month."""

    month: date
    referrers: int


@dataclass(frozen=True, slots=True)
class LifetimesNow:
    """What is kept of the referrers that are asked for; months are those of the program's calendar, in ``zone``."""

    connection: AsyncConnection
    asked: Asked
    zone: ZoneInfo

    async def of_referrers(self, *, after: str, limit: int | None) -> Sequence[OfReferrer]:
        """Return referrers by id after ``after``, each with a row for each currency. ``limit`` counts referrers."""
        of = {**await self._parameters(), "after": after, "limit": limit}
        return await typed_rows.read(self.connection, OfReferrer, _OF_REFERRERS, of)

    async def most(self, number: int) -> Sequence[OfReferrer]:
        """Return the referrers of the highest value, ``number`` in each currency."""
        of = {**await self._parameters(), "number": number}
        return await typed_rows.read(self.connection, OfReferrer, _MOST, of)

    async def of_cohorts(self) -> tuple[Sequence[Begun], Sequence[OfCohort]]:
        """Return each cohort's number of referrers, and what theirs came to by currency, oldest first."""
        of = await self._parameters()
        begun = await typed_rows.read(self.connection, Begun, _BEGUN, of)
        return begun, await typed_rows.read(self.connection, OfCohort, _OF_COHORTS, of)

    async def _parameters(self) -> dict[str, object]:
        """Return whose referrals are asked for, and when each month begins on the program's calendar."""
        some = None if self.asked.referrers is None else list(self.asked.referrers)
        months = list(await _months(self.connection, self.asked.program, self.zone))
        starts = [calendar.at_wall_clock(month, time(), self.zone) for month in months]
        return {"program": self.asked.program, "referrers": some, "months": months, "starts": starts}


async def noted(connection: AsyncConnection, program: str) -> int:
    """Return how many of a program's referrals changed since they were measured."""
    return int((await connection.execute(_NOTED, {"program": program})).scalar_one())


class _Span(NamedTuple):
    first: datetime | None
    last: datetime | None


async def _months(connection: AsyncConnection, program: str, zone: ZoneInfo) -> Iterator[date]:
    """Return the first day of every month from the program's first referral to its last one."""
    span = await typed_rows.read_one(connection, _Span, _SPAN, {"program": program})
    assert span is not None
    if span.first is None or span.last is None:
        return iter(())
    first, last = (each.astimezone(zone).date().replace(day=1) for each in (span.first, span.last))
    return _every_month(first, last)


def _every_month(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first = (first + timedelta(days=32)).replace(day=1)


_SPAN: Final = text("SELECT min(began_at) AS first, max(began_at) AS last FROM referral WHERE program = :program")

_FIRSTS: Final = """firsts AS (
    SELECT referrer COLLATE "C" AS referrer,
           (CAST(:months AS date[]))[width_bucket(min(began_at), CAST(:starts AS timestamptz[]))] AS month
    FROM referral
    WHERE program = :program AND referrer IS NOT NULL AND status IS NOT NULL AND merged_into IS NULL
      AND (CAST(:referrers AS text[]) IS NULL OR referrer = ANY(CAST(:referrers AS text[])))
    GROUP BY 1
)"""

_BROUGHT: Final = f"""{_FIRSTS}, brought AS (
    SELECT r.referrer COLLATE "C" AS referrer, m.currency,
           count(DISTINCT m.referral_id) FILTER (WHERE m.figure = :lifetime) AS customers,
           CAST(coalesce(sum(m.n) FILTER (WHERE m.figure = :lifetime), 0) AS bigint) AS orders,
           CAST(coalesce(sum(m.amount) FILTER (WHERE m.figure = :lifetime), 0) AS bigint) AS revenue_minor,
           CAST(coalesce(sum(m.amount) FILTER (WHERE m.figure = :lifetime AND m.part = :again), 0) AS bigint)
               AS repeat_minor,
           CAST(coalesce(sum(m.amount) FILTER (WHERE m.figure = :settled), 0)
                - coalesce(sum(m.amount) FILTER (WHERE m.figure = :taken_back), 0) AS bigint) AS cost_minor
    FROM measured_contribution m JOIN referral r ON r.id = m.referral_id
    WHERE m.program = :program AND m.figure IN (:lifetime, :settled, :taken_back)
      AND (CAST(:referrers AS text[]) IS NULL OR r.referrer = ANY(CAST(:referrers AS text[])))
    GROUP BY 1, 2
)"""  # noqa: S608 (words of ours)

_COLUMNS: Final = "currency, customers, orders, revenue_minor, repeat_minor, cost_minor"
_FIGURES: Final = {
    "lifetime": Figure.LIFETIME,
    "settled": Figure.SETTLED,
    "taken_back": Figure.TAKEN_BACK,
    "again": Purchase.REPEAT,
}

_OF_REFERRERS: Final = statement(
    f"""
WITH {_BROUGHT}
SELECT referrer, month, {_COLUMNS} FROM firsts JOIN brought USING (referrer)
WHERE referrer IN (
    SELECT DISTINCT referrer FROM brought WHERE referrer > CAST(:after AS text) COLLATE "C"
    ORDER BY referrer LIMIT CAST(:limit AS bigint)
)
ORDER BY referrer, currency
""",  # noqa: S608 (words of ours)
    **_FIGURES,
)

_MOST: Final = statement(
    f"""
WITH {_BROUGHT}, ranked AS (
    SELECT *, row_number() OVER (PARTITION BY currency ORDER BY revenue_minor - cost_minor DESC, referrer) AS place
    FROM brought
)
SELECT referrer, month, {_COLUMNS} FROM ranked JOIN firsts USING (referrer) WHERE place <= :number
ORDER BY currency, place
""",  # noqa: S608 (words of ours)
    **_FIGURES,
)

_OF_COHORTS: Final = statement(
    f"""
WITH {_BROUGHT}
SELECT month, currency, CAST(sum(customers) AS bigint) AS customers, CAST(sum(orders) AS bigint) AS orders,
       CAST(sum(revenue_minor) AS bigint) AS revenue_minor, CAST(sum(repeat_minor) AS bigint) AS repeat_minor,
       CAST(sum(cost_minor) AS bigint) AS cost_minor
FROM firsts JOIN brought USING (referrer) GROUP BY month, currency ORDER BY month, currency
""",  # noqa: S608 (words of ours)
    **_FIGURES,
)

_BEGUN: Final = text(f"""
WITH {_FIRSTS} SELECT month, count(*) AS referrers FROM firsts GROUP BY month ORDER BY month
""")  # noqa: S608 (words of ours)

_NOTED: Final = text("""
SELECT count(DISTINCT t.referral_id) FROM to_measure t JOIN referral r ON r.id = t.referral_id
WHERE r.program = :program
""")
