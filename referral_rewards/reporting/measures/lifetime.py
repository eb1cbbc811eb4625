"""Lifetime referral value: what the referees of a referrer bring, less what their rewards cost (SPEC §8)."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.calendar import zone
from referral_rewards.register import programs
from referral_rewards.register.measures.lifetimes import Begun, LifetimesNow, OfCohort, OfReferrer, noted
from referral_rewards.register.measures.lifetimes_then import lifetimes_then
from referral_rewards.register.measures.sums import Step
from referral_rewards.reporting.measures import program
from referral_rewards.reporting.measures.charts import Chart, every
from referral_rewards.reporting.measures.program import Wanted
from referral_rewards.reporting.shape import Instant, Shape, as_text, csv_row

#: How many referrers of the highest value are shown in each currency.
MOST: Final = 50


class Value(Shape):
    """What referees brought in one currency, in minor units: net revenue of all orders from the one that was rewarded
    on, which part of it came after that one, the rewards that were settled less what was taken back, and the rest.

    ``customers`` are referees for whom a reward was paid and who ordered in this currency.
    """

    currency: str
    customers: int
    orders: int
    revenue_minor: int
    repeat_minor: int
    cost_minor: int
    value_minor: int


class ReferrerValue(Value):
    """The same of one referrer; ``month`` is the first day of the month of their first referral."""

    referrer: str
    month: date


class Cohort(Shape):
    """The referrers whose first referral began in a month, by its first day, and what theirs brought by currency."""

    month: date
    referrers: int
    values: tuple[Value, ...]


class Lifetime(Shape):
    """Lifetime referral value of a program, of a partner's referrers or of one referrer if one is named.

    ``referrers`` are by id, with an entry for each currency; ``next`` is the value of ``after`` for the next page, null
    at the end. ``as_of`` is when it was read, or the past moment that was asked for; ``behind`` is how many referrals
    changed some seconds before, and count as they stood before that.
    """

    program: str
    partner: str | None
    referrer: str | None
    as_of: Instant
    behind: int
    cohorts: tuple[Cohort, ...]
    referrers: tuple[ReferrerValue, ...]
    next: str | None


class Source(Protocol):
    """Who knows what referrers brought: as of now by what is kept, as of a past moment by the register."""

    async def of_referrers(self, *, after: str, limit: int | None) -> Sequence[OfReferrer]: ...
    async def most(self, number: int) -> Sequence[OfReferrer]: ...
    async def of_cohorts(self) -> tuple[Sequence[Begun], Sequence[OfCohort]]: ...


async def source(connection: AsyncConnection, wanted: Wanted) -> Source:
    """Return who knows it as of the moment that is asked for. The connection's transaction must see one moment.

    Raises:
        RequestInvalid: if there is no such program.
    """
    await programs.hold_known(connection, wanted.program)
    zones = await programs.zones(connection)
    its_zone = zones.get(wanted.program) or zone("UTC")
    asked = await program.asked(connection, wanted)
    if wanted.as_of is None:
        return LifetimesNow(connection, asked, its_zone)
    return await lifetimes_then(connection, asked, its_zone, wanted.as_of)


async def report(
    connection: AsyncConnection, wanted: Wanted, now: datetime, known: Source, *, after: str, limit: int
) -> Lifetime:
    """Return the cohorts, and a page of referrers."""
    begun, values = await known.of_cohorts()
    rows = await known.of_referrers(after=after, limit=limit)
    return Lifetime(
        program=wanted.program,
        partner=wanted.partner,
        referrer=wanted.referrer,
        as_of=wanted.as_of or now,
        behind=0 if wanted.as_of else await noted(connection, wanted.program),
        cohorts=_cohorts(begun, values),
        referrers=tuple(_referrer(row) for row in rows),
        next=rows[-1].referrer if len({row.referrer for row in rows}) == limit else None,
    )


async def most(known: Source) -> tuple[ReferrerValue, ...]:
    """Return the referrers of the highest value in each currency (`MOST`)."""
    return tuple(_referrer(row) for row in await known.most(MOST))


async def as_csv(connection: AsyncConnection, wanted: Wanted, now: datetime) -> AsyncIterator[str]:
    """Yield every referrer as CSV, a currency a line. Money is in minor units.

    Raises:
        RequestInvalid: if there is no such program.
    """
    known = await source(connection, wanted)
    as_of = (wanted.as_of or now).isoformat()
    yield csv_row("program", "as_of", "referrer", "month", *_NUMBERS)
    for row in await known.of_referrers(after="", limit=None):
        its = _referrer(row)
        cells = (str(getattr(its, name)) for name in _NUMBERS)
        yield csv_row(wanted.program, as_of, as_text(its.referrer), f"{its.month:%Y-%m}", *cells)


_NUMBERS: Final = tuple(Value.model_fields)


def charts(cohorts: Sequence[Cohort]) -> tuple[Chart, ...]:
    """Return a chart for each currency: revenue and cost by the month of the first referral."""
    currencies = sorted({value.currency for cohort in cohorts for value in cohort.values})
    begun = [cohort.month for cohort in cohorts]
    months = list(every(min(begun), max(begun), Step.MONTH)) if begun else []
    return tuple(
        Chart("value by month of first referral", each, months, _lines(cohorts, months, each)) for each in currencies
    )


def _lines(cohorts: Sequence[Cohort], months: Sequence[date], currency: str) -> dict[str, list[int]]:
    """Revenue and cost of each month; zero where nobody's first referral began."""
    of = {cohort.month: value for cohort in cohorts for value in cohort.values if value.currency == currency}
    at = [of.get(each) for each in months]
    return {
        "revenue": [each.revenue_minor if each else 0 for each in at],
        "reward cost": [each.cost_minor if each else 0 for each in at],
    }


def _cohorts(begun: Sequence[Begun], values: Sequence[OfCohort]) -> tuple[Cohort, ...]:
    return tuple(
        Cohort(
            month=each.month,
            referrers=each.referrers,
            values=tuple(_value(value) for value in values if value.month == each.month),
        )
        for each in begun
    )


def _value(row: OfCohort) -> Value:
    return Value(**_numbers(row))


def _referrer(row: OfReferrer) -> ReferrerValue:
    return ReferrerValue(referrer=row.referrer, month=row.month, **_numbers(row))


def _numbers(row: OfCohort | OfReferrer) -> dict[str, Any]:
    return {
        "currency": row.currency,
        "customers": row.customers,
        "orders": row.orders,
        "revenue_minor": row.revenue_minor,
        "repeat_minor": row.repeat_minor,
        "cost_minor": row.cost_minor,
        "value_minor": row.revenue_minor - row.cost_minor,
    }
