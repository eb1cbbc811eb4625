"""Finds implausible values in well-formed terms. `programs/lint.py` refuses unusable terms; these are questions.

The rules about tiers and amounts have files of their own.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import iso4217

from referral_rewards.domain import calendar, money
from referral_rewards.domain.calendar import DayBoundary
from referral_rewards.domain.claims.fraud import SCORE_MAX, SIGNALS
from referral_rewards.domain.errors import Problem
from referral_rewards.domain.payees import tax_thresholds
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, payable, pays_in, step_minor, suited
from referral_rewards.domain.programs.terms import RewardKind, Terms
from referral_rewards.domain.readiness.rates import rates
from referral_rewards.domain.readiness.review_of_amounts import (
    caps_that_always_bite,
    cycle_minimum_out_of_reach,
    four_eyes_out_of_reach,
    limits_below_one_reward,
    percentages_of_nothing,
    unbounded_percentages,
)
from referral_rewards.domain.readiness.review_of_tiers import repeated_tiers, unreachable_tiers
from referral_rewards.domain.referrals.inquiries import REGISTER

Problems = Iterator[Problem]

#: In a shorter window messages can't be sent in time, and on most days not at all.
_CONTACT_MIN: Final = timedelta(hours=1)
#: A month may be longer or shorter than thirty days, depending on when it begins.
_STARTS: Final = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13))
#: Conversions of these kinds can't be returned.
_KEPT: Final = frozenset({"account_opened"})


def unclear(terms: Terms) -> list[Problem]:
    """Return every implausible value: its path, what is wrong and what would be right."""
    return [problem for rule in _RULES for problem in rule(terms)]


def _periods(terms: Terms) -> Problems:
    """Find periods of zero length that are implausible. Where a period ends with the day, zero days are that day.

    A zero return period is a valid choice: a claim can be approved right after the conversion, and later returns are
    still watched. A zero grace period is valid too: only a referee who claims before buying earns a reward.
    """
    periods = terms.periods
    if periods.day_boundary is DayBoundary.INSTANT:
        for channel, expiry in periods.expiry.items():
            if expiry.is_zero:
                yield _zero(
                    f"periods.expiry.{channel}", "every invitation ends as soon as it is sent, and nobody can claim it"
                )
        if periods.offer.is_zero:
            yield _zero("periods.offer", "no purchase after the claim can earn a reward")
    if periods.arrival_allowance.is_zero:
        yield _zero("periods.arrival_allowance", "a fact that occurs in time but arrives a moment later is ignored")
    if periods.watch.is_zero and not _KEPT.issuperset(terms.qualifying.kinds):
        yield _zero("periods.watch", "a refund after the reward was paid is not noticed")


def _zero(where: str, leads_to: str) -> Problem:
    return Problem(where, f"is zero: {leads_to}; set a duration (PT1S for the shortest)")


def _partners(terms: Terms) -> Problems:
    for index, partner in enumerate(terms.partners):
        if (
            partner.valid_until is not None
            and datetime.combine(partner.valid_until, time(), terms.zone) <= terms.effective_from
        ):
            yield Problem(
                f"partners.{index}.valid_until",
                f"the rate of {partner.partner} ends before these terms are in force ({terms.effective_from:%Y-%m-%d});"
                " remove it, or let it end later",
            )


def _fraud(terms: Terms) -> Problems:
    weights, threshold = terms.fraud.weights, terms.fraud.threshold
    for name in sorted(weights.keys() - SIGNALS.keys()):
        yield Problem(f"fraud.weights.{name}", f"there is no such signal; there are {', '.join(sorted(SIGNALS))}")
    together = min(SCORE_MAX, sum(weight for name, weight in weights.items() if name in SIGNALS))
    if weights and together < threshold:
        yield Problem(
            "fraud.threshold",
            f"is never reached: all signals together weigh {together}; set it to that or less, or raise the weights",
        )


def _approval(terms: Terms) -> Problems:
    remind, escalate = terms.approval.remind_after, terms.approval.escalate_after
    if any(calendar.end_of(at, escalate, terms.zone) <= calendar.end_of(at, remind, terms.zone) for at in _STARTS):
        yield Problem(
            "approval.escalate_after",
            f"{escalate} is not longer than remind_after, {remind}: it would escalate before approvers are reminded",
        )


def _tax(terms: Terms) -> Problems:
    regime = terms.tax.regime
    for currency in sorted({each.currency for each in tax_thresholds.THRESHOLDS.get(regime, ())} - {terms.currency}):
        yield Problem(
            "tax.regime",
            f"{regime} counts in {currency} and the program pays {terms.currency}: every reward would wait for a form;"
            f" use {tax_thresholds.NO_REGIME}, or another currency",
        )


def _contact_hours(terms: Terms) -> Problems:
    hours = terms.contact_hours
    if hours is not None and _on_a_day(hours.end) - _on_a_day(hours.start) < _CONTACT_MIN:
        yield Problem(
            "contact_hours.end", f"{hours.start:%H:%M} to {hours.end:%H:%M} is less than an hour; let it end later"
        )


def _sources(terms: Terms) -> Problems:
    if terms.sources.customers == REGISTER:
        yield Problem("sources.customers", f"{REGISTER} knows nothing about customers beyond their facts; remove it")


def _on_a_day(clock: time) -> datetime:
    return datetime.combine(date(2000, 1, 1), clock.replace(tzinfo=None))


def unfit_rails(terms: Terms) -> Problems:
    """Find rails that are unknown or do not pay that kind of reward."""
    for kind, rail in terms.payouts.rails.items():
        where = f"payouts.rails.{kind}"
        if rail not in CATALOGUE:
            yield Problem(where, f"there is no rail {rail!r}; {kind} can be paid by {_either(suited(kind))}")
        elif kind not in CATALOGUE[rail].kinds:
            yield Problem(where, f"{rail} does not pay {kind}; use {_either(suited(kind))}")


def currencies_without_a_rail(terms: Terms) -> Problems:
    """Find rewards in a currency, or of an amount, that their rail can't pay."""
    if iso4217.Currency(terms.currency).exponent is None:
        yield Problem("currency", f"nobody can be paid in {terms.currency}: it is not the currency of a country")
        return
    for kind in sorted({rate.kind for rate in rates(terms)}):
        rail = terms.payouts.rails[kind]
        if rail not in CATALOGUE or kind not in CATALOGUE[rail].kinds:
            continue
        where, instead = f"payouts.rails.{kind}", _either(suited(kind, terms.currency))
        if not pays_in(rail, terms.currency):
            yield Problem(where, f"{rail} does not pay {terms.currency}; use {instead}")
        elif said := _unpayable(terms, kind, rail):
            step = money.display(step_minor(rail, terms.currency), terms.currency)
            yield Problem(where, f"{rail} pays in steps of {step}, and {said}; use {instead}")


def _unpayable(terms: Terms, kind: RewardKind, rail: str) -> str | None:
    """Describe a reward of that kind whose amount the rail can't pay, or return None."""
    for rate in rates(terms):
        if rate.kind is not kind:
            continue
        if rate.rule.percent is not None and step_minor(rail, terms.currency) > 1:
            return f"{rate.where} is a percentage, which may come to any amount"
        if rate.rule.amount is not None and not payable(rail, rate.rule.amount, terms.currency):
            return f"{rate.where}.amount is {rate.rule.amount}"
    return None


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)


_RULES: Final[tuple[Callable[[Terms], Problems], ...]] = (
    _periods,
    _sources,
    unreachable_tiers,
    repeated_tiers,
    caps_that_always_bite,
    percentages_of_nothing,
    unbounded_percentages,
    limits_below_one_reward,
    _partners,
    _fraud,
    four_eyes_out_of_reach,
    _approval,
    unfit_rails,
    currencies_without_a_rail,
    cycle_minimum_out_of_reach,
    _tax,
    _contact_hours,
)
