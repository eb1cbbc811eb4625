"""The report of a program as CSV, for spreadsheets."""

from collections.abc import Iterator

from referral_rewards.domain.measures.figures import Figure
from referral_rewards.reporting.measures import budget
from referral_rewards.reporting.measures.accuracy import EligibilityAccuracy
from referral_rewards.reporting.measures.budget import BudgetShown
from referral_rewards.reporting.measures.program import Duration, Figures, ProgramReport
from referral_rewards.reporting.shape import csv_row


def as_csv(report: ProgramReport) -> Iterator[str]:
    """Yield the report as CSV: a figure a line, with its part, currency and value. Money is in minor units."""
    yield csv_row("program", "from", "to", "as_of", "figure", "part", "currency", "value")
    head = (report.program, str(report.from_ or ""), str(report.to or ""), report.as_of.isoformat())
    of_budget, of_accuracy = _of_budget(report.budget), _of_accuracy(report.referral_reward_eligibility_accuracy)
    for figure, part, currency, value in (*_lines(report.measures), *of_accuracy, *of_budget):
        yield csv_row(*head, figure, part, currency, "" if value is None else str(value))


_Line = tuple[str, str, str, int | float | None]


def _of_accuracy(its: EligibilityAccuracy) -> "Iterator[_Line]":
    yield "eligibility_accuracy", "paid", "", its.paid
    yield "eligibility_accuracy", "accurate", "", its.accurate
    yield "eligibility_accuracy", "share", "", its.share


def _of_budget(its: BudgetShown | None) -> "Iterator[_Line]":
    for figure, currency, value in budget.lines(its) if its is not None else ():
        yield "budget", figure, currency, value


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
