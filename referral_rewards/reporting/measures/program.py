"""The report of a program (SPEC §8): its measures over a period, with the definition of each."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.evidence import Span
from referral_rewards.audit.loading import Means
from referral_rewards.domain.calendar import zone
from referral_rewards.domain.measures.as_of import moment_named
from referral_rewards.domain.measures.measures import Days, Measures
from referral_rewards.register import programs
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.measures import past, sums
from referral_rewards.register.measures.past import Past
from referral_rewards.reporting.measures import budget
from referral_rewards.reporting.measures.accuracy import EligibilityAccuracy, accuracy
from referral_rewards.reporting.measures.budget import BudgetShown
from referral_rewards.reporting.shape import Instant, Shape


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

    ``budget`` is that of the whole program over its whole life, null if no terms were published. ``as_of`` is when the
    report was made. ``behind`` is how many referrals changed so lately that they count as they stood before: a
    back-fill under way.
    """

    program: str
    partner: str | None
    referrer: str | None
    from_: date | None = Field(alias="from")
    to: date | None
    as_of: Instant
    behind: int
    measures: Figures
    referral_reward_eligibility_accuracy: EligibilityAccuracy
    budget: BudgetShown | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report: of a program over some days, and if one is named only of a partner's or of one referrer's
    referrals; as of a past moment, or of now."""

    program: str
    days: Days
    partner: str | None = None
    referrer: str | None = None
    as_of: datetime | None = None


async def moment(connection: AsyncConnection, program: str, said: str | None, now: datetime) -> datetime | None:
    """Return the moment as of which a report of a program is asked for, in days of its zone; None for now.

    Raises:
        RequestInvalid: if it is no moment of the past, or there is no such program.
    """
    if said is None:
        return None
    await programs.hold_known(connection, program)
    zones = await programs.zones(connection)
    return moment_named(said, zones.get(program) or zone("UTC"), now)


async def looked_back(connection: AsyncConnection, wanted: Wanted) -> Past | None:
    """Return what was on record at the moment of a report, to be read for any days; None for a report of now."""
    if wanted.as_of is None:
        return None
    return await past.past(connection, await asked(connection, wanted), wanted.as_of)


async def report(
    connection: AsyncConnection,
    wanted: Wanted,
    now: datetime,
    means: Means,
    keys: KeyRing | None = None,
    looked: Past | None = None,
) -> ProgramReport:
    """Return a report, with the program's budget if ``keys`` are given, which verify the signed acts on it.

    ``means`` are what paid rewards are examined with. One of a past moment is recomputed from what was on record then;
    ``looked`` is that if it was read already. The connection's transaction must see one moment.

    Raises:
        RequestInvalid: if there is no such program.
    """
    await programs.hold_known(connection, wanted.program)
    its = await asked(connection, wanted)
    looked = looked or await looked_back(connection, wanted)
    read = await sums.measures(connection, its, now) if looked is None else sums.Read(looked.measures(wanted.days), 0)
    span = Span(wanted.program, wanted.days.start, await _settled_until(connection, wanted))
    return ProgramReport(
        program=wanted.program,
        partner=wanted.partner,
        referrer=wanted.referrer,
        as_of=wanted.as_of or now,
        behind=read.behind,
        measures=Figures.of(read.measures),
        budget=None if keys is None else await _budget(connection, wanted, now, keys, looked),
        referral_reward_eligibility_accuracy=await accuracy(connection, span, means, its.referrers),
        **{"from": wanted.days.start, "to": wanted.days.end},
    )


async def _settled_until(connection: AsyncConnection, wanted: Wanted) -> date | None:
    """Return the day before which rewards settled that count: the end of the report, and of a past moment its day."""
    if wanted.as_of is None:
        return wanted.days.end
    its = (await programs.zones(connection)).get(wanted.program) or zone("UTC")
    until = (wanted.as_of.astimezone(its) - timedelta(microseconds=1)).date() + timedelta(days=1)
    return until if wanted.days.end is None else min(until, wanted.days.end)


async def _budget(
    connection: AsyncConnection, wanted: Wanted, now: datetime, keys: KeyRing, looked: Past | None
) -> BudgetShown | None:
    """The budget of the whole program: what was read of some referrers' referrals does not tell it."""
    of_some = wanted.partner is not None or wanted.referrer is not None
    return await budget.shown(connection, wanted.program, wanted.as_of, now, keys, None if of_some else looked)


async def asked(connection: AsyncConnection, wanted: Wanted) -> sums.Asked:
    """Return whose referrals a report is of."""
    referrers = [wanted.referrer] if wanted.referrer is not None else None
    if wanted.partner is not None:
        its = await sums.referrers_of(connection, wanted.program, wanted.partner)
        referrers = [each for each in its if referrers is None or each in referrers]
    return sums.Asked(wanted.program, wanted.days, referrers)
