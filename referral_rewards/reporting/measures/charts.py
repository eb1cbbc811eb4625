"""What the charts of a report draw: a few figures of each day or month, with none left out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import Figure, Stage
from referral_rewards.domain.measures.measures import Days, Sums
from referral_rewards.register.measures import sums
from referral_rewards.register.measures.past import Past
from referral_rewards.register.measures.sums import Step
from referral_rewards.reporting.measures import program
from referral_rewards.reporting.measures.program import Wanted

#: A longer period is cut into months.
_DAYS_MAX: Final = 62


class Chart(NamedTuple):
    """One chart: what it is of, the currency of its values (None: they are counts), the first day of each step, and the
    values of each line by its name."""

    of: str
    currency: str | None
    steps: Sequence[date]
    lines: Mapping[str, Sequence[int]]


class OverTime(NamedTuple):
    """The charts of a report, and whether their steps are days or months."""

    step: Step
    charts: tuple[Chart, ...]


async def charts(connection: AsyncConnection, wanted: Wanted, now: datetime, looked: Past | None = None) -> OverTime:
    """Return the charts of a report: referrals and claims, cost and revenue, each currency apart.

    ``looked`` is what was on record at the moment of a report that is of a past one.
    """
    step = _step(wanted.days)
    found = (
        await sums.over_time(connection, await program.asked(connection, wanted), step, now)
        if looked is None
        else looked.over_time(step, wanted.days)
    )
    # Other figures, as of rewards that are expected later, have days on which no line has anything.
    by_step = {first: its for first, its in found if any(key[0] in _DRAWN for key in its.of)}
    steps = list(every(min(by_step), max(by_step), step)) if by_step else []
    at = [by_step.get(each, Sums({})) for each in steps]
    currencies = sorted({key[2] for each in at for key in each.of if key[0] in _MONEY and key[2]})
    drawn = [
        Chart("referrals and claims", None, steps, {name: [of(each) for each in at] for name, of in _COUNTS.items()})
    ]
    for figures in (_COST, _REVENUE):
        for currency in currencies:
            lines = {name: [_amount(each, figure, currency) for each in at] for name, figure in figures.lines.items()}
            drawn.append(Chart(figures.of, currency, steps, lines))
    return OverTime(step, tuple(each for each in drawn if any(any(values) for values in each.lines.values())))


class _Figures(NamedTuple):
    of: str
    lines: Mapping[str, Figure]


_COUNTS: Final[Mapping[str, Callable[[Sums], int]]] = {
    "referrals begun": lambda its: its.count(Figure.STARTED, Stage.BEGAN),
    "claims created": lambda its: its.count(Figure.CLAIMS_CREATED),
    "claims approved": lambda its: its.count(Figure.CLAIMS_APPROVED),
    "claims denied": lambda its: its.count(Figure.DENIED_BY_RULE) + its.count(Figure.DENIED_BY_DECISION),
}
_COST: Final = _Figures("reward cost", {"settled": Figure.SETTLED, "taken back": Figure.TAKEN_BACK})
_REVENUE: Final = _Figures("referred revenue", {"of the rewarded": Figure.REWARDED, "of all": Figure.CONVERTED})
_MONEY: Final = frozenset({*_COST.lines.values(), *_REVENUE.lines.values()})
_DRAWN: Final = _MONEY | {
    Figure.STARTED,
    Figure.CLAIMS_CREATED,
    Figure.CLAIMS_APPROVED,
    Figure.DENIED_BY_RULE,
    Figure.DENIED_BY_DECISION,
}


def _amount(its: Sums, figure: Figure, currency: str) -> int:
    return sum(
        each.amount for (named, _, its_currency), each in its.of.items() if (named, its_currency) == (figure, currency)
    )


def _step(days: Days) -> Step:
    short = days.start is not None and days.end is not None and (days.end - days.start).days <= _DAYS_MAX
    return Step.DAY if short else Step.MONTH


def every(first: date, last: date, step: Step) -> Iterator[date]:
    """Yield every day or first of a month from the first to the last, also those on which nothing happened."""
    while first <= last:
        yield first
        first = first + timedelta(days=1) if step is Step.DAY else (first + timedelta(days=32)).replace(day=1)
