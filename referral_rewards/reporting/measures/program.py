"""The report of a program (SPEC §8): its measures over a period, with the definition of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import Figure
from referral_rewards.domain.measures.measures import Days, Measures
from referral_rewards.register import programs
from referral_rewards.register.measures import sums
from referral_rewards.reporting.shape import Instant, Shape, csv_row


class Exceptions(Shape):
    """Claims that had any flag, and how many had each."""

    claims: int
    by_flag: dict[str, int]


class Amount(Shape):
    """An amount in minor units of its currency."""

    currency: str
    minor: int


class DuplicateClaims(Shape):
    """Claims that ever were flagged as a duplicate, and what they came to then."""

    claims: int
    would_have_cost: tuple[Amount, ...]


class Duration(Shape):
    """How long something took, in seconds: the median and the 95th percentile of ``n``, null where nothing was
    measured. Between two values a percentile lies in proportion."""

    n: int
    median_s: float | None
    p95_s: float | None


class PayoutTime(Shape):
    """From the conversion to the settled payment; from the end of the return period to the decision; from the decision
    to the settled payment."""

    conversion_to_settled: Duration
    due_to_decided: Duration
    decided_to_settled: Duration


class Cost(Shape):
    """Rewards of one kind and currency in minor units: settled, what of these was taken back since, and what was
    approved and is not paid yet."""

    currency: str
    kind: str
    settled_minor: int
    taken_back_minor: int
    payable_minor: int


class Revenue(Shape):
    """Net amounts of *the* conversions in minor units: of the referrals that were rewarded, and of those that
    converted; what the latter were worth before reversals, and what was reversed."""

    currency: str
    rewarded_minor: int
    converted_minor: int
    gross_minor: int
    reversed_minor: int


class Satisfaction(Shape):
    """Referrers who were asked, and how many of these answered since. ``n`` are the answers of the period, also of
    referrers whom nobody asked, with their mean and scores from 1 to 5. ``answer_rate`` is null where nobody was asked,
    ``mean`` without an answer."""

    asked: int
    answered: int
    answer_rate: float | None
    n: int
    mean: float | None
    scores: dict[str, int]


class Customers(Shape):
    """Referrals that were rewarded, and for each of them what was settled less what was taken back, in minor units."""

    currency: str
    customers: int
    minor: int


class Figures(Shape):
    """The measures of SPEC §8. Each counts in the period of the event that it names; amounts are as of the report."""

    claims_created: int
    claims_approved: int
    denied_by_rule: int
    denied_by_decision: int
    waiting: int
    exceptions: Exceptions
    disputed_attribution: int
    disputes_settled: dict[str, int]
    duplicate_claims: DuplicateClaims
    payout_time: PayoutTime
    reward_cost: tuple[Cost, ...]
    referred_revenue: tuple[Revenue, ...]
    referrer_satisfaction: Satisfaction
    funnel: dict[str, int]
    refund_rate: float | None
    cost_per_acquired_customer: tuple[Customers, ...]

    @classmethod
    def of(cls, its: Measures) -> Self:
        times = {
            figure.value: Duration(n=d.n, median_s=d.median_s, p95_s=d.p95_s) for figure, d in its.payout_time.items()
        }
        return cls(
            claims_created=its.claims_created,
            claims_approved=its.claims_approved,
            denied_by_rule=its.denied_by_rule,
            denied_by_decision=its.denied_by_decision,
            waiting=its.waiting,
            exceptions=Exceptions(claims=its.exceptions, by_flag=dict(its.by_flag)),
            disputed_attribution=its.disputed_attribution.claims,
            disputes_settled={how.value: n for how, n in its.disputed_attribution.by_settlement.items()},
            duplicate_claims=DuplicateClaims(
                claims=its.duplicate_claims,
                would_have_cost=tuple(Amount.model_validate(each) for each in its.duplicates_would_have_cost),
            ),
            payout_time=PayoutTime(**times),
            reward_cost=tuple(Cost.model_validate(each) for each in its.reward_cost),
            referred_revenue=tuple(
                Revenue(
                    currency=each.currency,
                    rewarded_minor=each.rewarded_minor,
                    converted_minor=each.converted_minor,
                    gross_minor=each.converted_gross_minor,
                    reversed_minor=each.reversed_minor,
                )
                for each in its.referred_revenue
            ),
            referrer_satisfaction=Satisfaction(
                asked=its.referrer_satisfaction.asked,
                answered=its.referrer_satisfaction.answered,
                answer_rate=its.referrer_satisfaction.answer_rate,
                n=its.referrer_satisfaction.n,
                mean=its.referrer_satisfaction.mean,
                scores={str(score): n for score, n in sorted(its.referrer_satisfaction.scores.items())},
            ),
            funnel={stage.value: n for stage, n in its.funnel.items()},
            refund_rate=its.refund_rate,
            cost_per_acquired_customer=tuple(Customers.model_validate(each) for each in its.cost_per_customer),
        )


class ProgramReport(Shape):
    """The measures of a program from one day to before another, on its own calendar; null is without an end;
    of a partner's or one referrer's referrals if one is named.

    ``as_of`` is when the report was made. ``behind`` is how many referrals changed so lately that they count as they
    stood before: a back-fill under way.
    """

    program: str
    partner: str | None
    referrer: str | None
    from_: date | None = Field(alias="from")
    to: date | None
    as_of: Instant
    behind: int
    measures: Figures


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report: of a program over some days, and if one is named only of a partner's or of one referrer's
    referrals."""

    program: str
    days: Days
    partner: str | None = None
    referrer: str | None = None


async def report(connection: AsyncConnection, wanted: Wanted, now: datetime) -> ProgramReport:
    """Return a report. The connection's transaction must see one moment.

    Raises:
        RequestInvalid: if there is no such program.
    """
    await programs.hold_known(connection, wanted.program)
    read = await sums.measures(connection, await asked(connection, wanted), now)
    return ProgramReport(
        program=wanted.program,
        partner=wanted.partner,
        referrer=wanted.referrer,
        as_of=now,
        behind=read.behind,
        measures=Figures.of(read.measures),
        **{"from": wanted.days.start, "to": wanted.days.end},
    )


class BehindFigure(Shape):
    """A referral that adds to a figure: on which day first, to which part, how many and how much: minor units of the
    currency, or microseconds without one."""

    referral: str
    day: date
    part: str
    currency: str
    n: int
    amount: int


class BehindPage(Shape):
    """Referrals by id; ``next`` is the value of ``after`` for the next page, null at the end."""

    referrals: tuple[BehindFigure, ...]
    next: str | None


async def behind(
    connection: AsyncConnection, wanted: Wanted, figure: Figure, part: str | None, after: str, limit: int
) -> BehindPage:
    """Return the referrals behind a figure of a report.

    Raises:
        RequestInvalid: if there is no such program.
    """
    await programs.hold_known(connection, wanted.program)
    found = await sums.behind(connection, await asked(connection, wanted), figure, part, after, limit)
    rows = tuple(
        BehindFigure(referral=each.referral_id, **{name: getattr(each, name) for name in each._fields[1:]})
        for each in found
    )
    return BehindPage(referrals=rows, next=rows[-1].referral if len(rows) == limit else None)


async def asked(connection: AsyncConnection, wanted: Wanted) -> sums.Asked:
    """Return whose referrals a report is of."""
    referrers = [wanted.referrer] if wanted.referrer is not None else None
    if wanted.partner is not None:
        its = await sums.referrers_of(connection, wanted.program, wanted.partner)
        referrers = [each for each in its if referrers is None or each in referrers]
    return sums.Asked(wanted.program, wanted.days, referrers)


def as_csv(report: ProgramReport) -> Iterator[str]:
    """Yield the report as CSV: a figure a line, with its part, currency and value. Money is in minor units."""
    yield csv_row("program", "from", "to", "as_of", "figure", "part", "currency", "value")
    head = (report.program, str(report.from_ or ""), str(report.to or ""), report.as_of.isoformat())
    for figure, part, currency, value in _lines(report.measures):
        yield csv_row(*head, figure, part, currency, "" if value is None else str(value))


_Line = tuple[str, str, str, int | float | None]


def _lines(its: Figures) -> Iterator[_Line]:
    for name in ("claims_created", "claims_approved", "denied_by_rule", "denied_by_decision", "waiting"):
        yield name, "", "", getattr(its, name)
    yield "exceptions", "", "", its.exceptions.claims
    for flag, n in its.exceptions.by_flag.items():
        yield "exceptions", flag, "", n
    yield "disputed_attribution", "", "", its.disputed_attribution
    for how, n in its.disputes_settled.items():
        yield "disputed_attribution", how, "", n
    yield "duplicate_claims", "", "", its.duplicate_claims.claims
    for cost in its.duplicate_claims.would_have_cost:
        yield "duplicate_claims", "would_have_cost_minor", cost.currency, cost.minor
    for figure in (Figure.CONVERSION_TO_SETTLED, Figure.DUE_TO_DECIDED, Figure.DECIDED_TO_SETTLED):
        duration: Duration = getattr(its.payout_time, figure.value)
        for part in ("n", "median_s", "p95_s"):
            yield f"payout_time.{figure.value}", part, "", getattr(duration, part)
    for each in its.reward_cost:
        for part in ("settled_minor", "taken_back_minor", "payable_minor"):
            yield f"reward_cost.{each.kind}", part, each.currency, getattr(each, part)
    for revenue in its.referred_revenue:
        for part in ("rewarded_minor", "converted_minor", "gross_minor", "reversed_minor"):
            yield "referred_revenue", part, revenue.currency, getattr(revenue, part)
    satisfaction = its.referrer_satisfaction
    for part in ("asked", "answered", "answer_rate", "n", "mean"):
        yield "referrer_satisfaction", part, "", getattr(satisfaction, part)
    for score, n in satisfaction.scores.items():
        yield "referrer_satisfaction", f"score_{score}", "", n
    for stage, n in its.funnel.items():
        yield "funnel", stage, "", n
    yield "refund_rate", "", "", its.refund_rate
    for won in its.cost_per_acquired_customer:
        yield "cost_per_acquired_customer", "minor", won.currency, won.minor
