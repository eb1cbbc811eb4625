"""The measures of a program over a period (SPEC §8): sums of contributions, and what follows from them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple, Protocol, Self

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.measures.figures import DURATIONS, Contribution, Figure, Settlement, Stage
from referral_rewards.domain.measures.life import Money
from referral_rewards.domain.measures.quantiles import quantile

_MICROSECONDS: Final = 1_000_000


class Days(NamedTuple):
    """The days from ``start`` to before ``end``, on the program's calendar; None is without an end on that side."""

    start: date | None = None
    end: date | None = None

    @classmethod
    def between(cls, start: date | None, end: date | None) -> Self:
        """Return the days that somebody asked for.

        Raises:
            RequestInvalid: if they end before they begin.
        """
        if start is not None and end is not None and end <= start:
            raise RequestInvalid(f"to, {end}, is not after from, {start}: it is the day after the last one", "to")
        return cls(start, end)

    @property
    def before(self) -> "Days | None":
        """The period before: of whole months as many months, of others as many days, up to the day before ``start``.

        None for one that has no beginning or no end, or that would begin before the calendar does.
        """
        if self.start is None or self.end is None:
            return None
        try:
            return Days(_as_long_before(self.start, self.end), self.start)
        except (OverflowError, ValueError):
            return None

    def __contains__(self, day: object) -> bool:
        return (
            isinstance(day, date) and (self.start is None or self.start <= day) and (self.end is None or day < self.end)
        )


def _as_long_before(start: date, end: date) -> date:
    """The day on which a period begins that is as long and ends at ``start``: in months if these are whole ones."""
    if start.day == end.day == 1:
        months = 12 * (end.year - start.year) + end.month - start.month
        year, month = divmod(12 * start.year + start.month - 1 - months, 12)
        return date(year, month + 1, 1)
    return start - (end - start)


class Sum(NamedTuple):
    """How many contributions, and their amounts together."""

    n: int = 0
    amount: int = 0


Key = tuple[Figure, str, str]
"""A figure, its part, and the currency."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of all contributions of a period, by figure, part and currency."""

    of: Mapping[Key, Sum]

    @classmethod
    def over(cls, contributions: Iterable[Contribution], days: Days) -> Self:
        """Return the sums of the contributions whose day is among ``days``."""
        found: defaultdict[Key, Sum] = defaultdict(Sum)
        for each in contributions:
            if each.day in days:
                key = (each.figure, each.part, each.currency)
                found[key] = Sum(found[key].n + each.n, found[key].amount + each.amount)
        return cls(dict(found))

    def count(self, figure: Figure, part: str | None = None) -> int:
        """Return the count of a figure, in all currencies: of one part, or of all."""
        return sum(each.n for (named, its, _), each in self.of.items() if named is figure and part in (None, its))

    def parts(self, figure: Figure) -> dict[str, int]:
        """Return the counts of a figure by part, without those that are zero."""
        names = sorted({part for named, part, _ in self.of if named is figure})
        counts = {part: self.count(figure, part) for part in names}
        return {part: count for part, count in counts.items() if count}

    def by_currency(self, figure: Figure) -> dict[tuple[str, str], Sum]:
        """Return the sums of a figure that have a currency, by currency and part."""
        found = {(currency, part): each for (named, part, currency), each in self.of.items() if named is figure}
        return {key: each for key, each in sorted(found.items()) if key[0] and (each.n or each.amount)}


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, in seconds; None where nothing was measured. Quantiles lie between two values in
    proportion."""

    n: int
    median_s: float | None
    p95_s: float | None


class Timed(Protocol):
    """Finds a quantile among the durations of a figure, in microseconds."""

    def __call__(self, figure: Figure, share: float) -> float | None: ...


class RewardCost(NamedTuple):
    """What rewards of one kind came to, in minor units: settled in the period, what of these was taken back since, and
    what was approved in it and is not paid yet."""

    currency: str
    kind: str
    settled_minor: int
    taken_back_minor: int
    payable_minor: int


class Revenue(NamedTuple):
    """The net amounts of *the* conversions, in minor units: of the referrals that were rewarded in the period, and of
    those that converted in it; what the latter were worth before reversals, and what was reversed."""

    currency: str
    rewarded_minor: int
    converted_minor: int
    converted_gross_minor: int
    reversed_minor: int


class CostPerCustomer(NamedTuple):
    """What was settled less what was taken back of it, in minor units, for each customer who was won."""

    currency: str
    minor: int
    customers: int


class Satisfaction(NamedTuple):
    """How many were asked, and how many of these answered since. ``n`` are all answers, also of who was not asked, with
    their mean (None without one) and each score's count."""

    asked: int
    answered: int
    answer_rate: float | None
    n: int
    mean: float | None
    scores: Mapping[int, int]


class Disputes(NamedTuple):
    """Claims of which two referrers both had a timely one, and how that ended."""

    claims: int
    by_settlement: Mapping[Settlement, int]


@dataclass(frozen=True, slots=True)
class Measures:
    """The nine measures of SPEC §8 and the further figures that sums can tell."""

    claims_created: int
    claims_approved: int
    denied_by_rule: int
    denied_by_decision: int
    waiting: int
    exceptions: int
    by_flag: Mapping[str, int]
    disputed_attribution: Disputes
    duplicate_claims: int
    duplicates_would_have_cost: Sequence[Money]
    payout_time: Mapping[Figure, Durations]
    reward_cost: Sequence[RewardCost]
    referred_revenue: Sequence[Revenue]
    referrer_satisfaction: Satisfaction
    funnel: Mapping[Stage, int]
    refund_rate: float | None
    cost_per_customer: Sequence[CostPerCustomer]

    @classmethod
    def of(cls, sums: Sums, timed: Timed) -> Self:
        """Return the measures from the sums of a period; ``timed`` finds the quantiles of its durations."""
        cost = reward_cost(sums)
        return cls(
            claims_created=sums.count(Figure.CLAIMS_CREATED),
            claims_approved=sums.count(Figure.CLAIMS_APPROVED),
            denied_by_rule=sums.count(Figure.DENIED_BY_RULE),
            denied_by_decision=sums.count(Figure.DENIED_BY_DECISION),
            waiting=sums.count(Figure.CLAIMS_WAITING),
            exceptions=sums.count(Figure.EXCEPTIONS),
            by_flag=_in_order(sums.parts(Figure.FLAGGED)),
            disputed_attribution=_disputes(sums),
            duplicate_claims=sums.count(Figure.DUPLICATES),
            duplicates_would_have_cost=_money(sums, Figure.DUPLICATES),
            payout_time={figure: _durations(sums, timed, figure) for figure in DURATIONS},
            reward_cost=cost,
            referred_revenue=referred_revenue(sums),
            referrer_satisfaction=_satisfaction(sums),
            funnel={stage: sums.count(Figure.STARTED, stage) for stage in Stage},
            refund_rate=_share(sums.count(Figure.REVERSED), sums.count(Figure.CONVERTED)),
            cost_per_customer=_cost_per_customer(cost, sums.count(Figure.REWARDED)),
        )

    @classmethod
    def over(cls, contributions: Sequence[Contribution], days: Days) -> Self:
        """Return the measures of these contributions alone, without any summary kept elsewhere."""
        within = [each for each in contributions if each.day in days]

        def timed(figure: Figure, share: float) -> float | None:
            return quantile(sorted(each.amount for each in within if each.figure is figure), share)

        return cls.of(Sums.over(within, days), timed)


def reward_cost(sums: Sums) -> tuple[RewardCost, ...]:
    """Return the cost of the rewards, by currency and kind."""
    settled, back, payable = (
        sums.by_currency(figure) for figure in (Figure.SETTLED, Figure.TAKEN_BACK, Figure.PAYABLE)
    )
    return tuple(
        RewardCost(currency, kind, *(each.get((currency, kind), Sum()).amount for each in (settled, back, payable)))
        for currency, kind in sorted({*settled, *back, *payable})
    )


def referred_revenue(sums: Sums) -> tuple[Revenue, ...]:
    """Return the revenue, by currency."""
    figures = (Figure.REWARDED, Figure.CONVERTED, Figure.CONVERTED_GROSS, Figure.REVERSED)
    found = [{currency: each.amount for (currency, _), each in sums.by_currency(figure).items()} for figure in figures]
    return tuple(
        Revenue(currency, *(each.get(currency, 0) for each in found)) for currency in sorted(set().union(*found))
    )


def _durations(sums: Sums, timed: Timed, figure: Figure) -> Durations:
    median, p95 = timed(figure, 0.5), timed(figure, 0.95)
    return Durations(sums.count(figure), _seconds(median), _seconds(p95))


def _seconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else round(microseconds / _MICROSECONDS, 3)


def _money(sums: Sums, figure: Figure) -> tuple[Money, ...]:
    return tuple(Money(currency, each.amount) for (currency, _), each in sums.by_currency(figure).items())


def _disputes(sums: Sums) -> Disputes:
    found = {Settlement(part): count for part, count in sums.parts(Figure.DISPUTED).items()}
    return Disputes(sum(found.values()), found)


def _satisfaction(sums: Sums) -> Satisfaction:
    scores = {int(score): count for score, count in sums.parts(Figure.RATED).items()}
    n = sum(scores.values())
    mean = sum(score * count for score, count in scores.items()) / n if n else None
    asked, answered = sums.count(Figure.ASKED), sums.count(Figure.ANSWERED)
    return Satisfaction(asked, answered, _share(answered, asked), n, mean, scores)


def _cost_per_customer(cost: Iterable[RewardCost], customers: int) -> tuple[CostPerCustomer, ...]:
    net: defaultdict[str, int] = defaultdict(int)
    for each in cost:
        net[each.currency] += each.settled_minor - each.taken_back_minor
    return tuple(
        CostPerCustomer(currency, round(minor / customers), customers) for currency, minor in net.items() if customers
    )


def _share(part: int, of: int) -> float | None:
    return part / of if of else None


def _in_order(by_flag: Mapping[str, int]) -> dict[str, int]:
    """Flags in the order of their listing."""
    return {flag: by_flag[flag] for flag in Flag if flag in by_flag}
