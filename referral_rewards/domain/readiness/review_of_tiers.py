"""Finds implausible tiers in well-formed terms: never reached, or the same as the tier before."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from referral_rewards.domain.calendar import Period
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import Problem
from referral_rewards.domain.programs.terms import RewardRule, Terms, Tier
from referral_rewards.domain.readiness.rates import PRICED, Rate, least_of, of_side, per_reward, rates, said

Problems = Iterator[Problem]

#: Longer than a referrer takes part: a tier that the limits delay for so long is never reached.
_YEARS_MAX: Final = 10


def unreachable_tiers(terms: Terms) -> Problems:
    """Find tiers that end below the smallest qualifying conversion, or that the limits put out of reach."""
    for side, rule in _rules(terms):
        tiers = rule.tiers or ()
        for index, (tier, after) in enumerate(pairwise(tiers)):
            yield from _below_minimum(terms, f"rewards.{side}.tiers.{index}", index, tier, after)
        if tiers and side is Side.REFERRER:
            yield from _behind_limits(terms, tiers)


def repeated_tiers(terms: Terms) -> Problems:
    """Find tiers that pay the same as the tier before."""
    for side, _ in _rules(terms):
        tiers = [rate for rate in of_side(rates(terms), side) if isinstance(rate.rule, Tier)]
        for before, rate in pairwise(tiers):
            if _pay(before) == _pay(rate):
                yield Problem(rate.where, "pays the same as the tier before; remove it, or let it pay more")


def _rules(terms: Terms) -> list[tuple[Side, RewardRule]]:
    sides = ((Side.REFERRER, terms.rewards.referrer), (Side.REFEREE, terms.rewards.referee))
    return [(side, rule) for side, rule in sides if rule is not None]


def _below_minimum(terms: Terms, where: str, index: int, tier: Tier, after: Tier) -> Problems:
    minimum = terms.qualifying.minimum
    if minimum is None or after.from_amount is None or after.from_amount > minimum:
        return
    if index == 0 and tier.amount is not None and not PRICED.issuperset(terms.qualifying.kinds):
        return  # A conversion without an amount still brings it.
    yield Problem(
        where,
        f"is never reached: it ends at {after.from_amount} and qualifying.minimum is {minimum}; remove it and let the"
        " next tier start there",
    )


def _behind_limits(terms: Terms, tiers: tuple[Tier, ...]) -> Problems:
    """Check tiers by number of rewards. ``spent`` is the least that the rewards before a tier take from the budget."""
    limits, spent = terms.limits, 0
    found = [rate for rate in of_side(rates(terms), Side.REFERRER) if isinstance(rate.rule, Tier)]
    for index, (before, tier) in enumerate(pairwise(tiers), start=1):
        if before.from_rewarded is None or tier.from_rewarded is None:
            return
        where, number = f"rewards.referrer.tiers.{index}", tier.from_rewarded
        spent += (number - before.from_rewarded) * (found[index - 1].least_minor + least_of(terms, Side.REFEREE))
        years = _years_to(terms, number, min(rate.least_minor for rate in found[:index]))
        if limits.budget is not None and spent >= terms.minor(limits.budget):
            yield Problem(
                where,
                f"is never reached: {number} rewards before it cost {said(spent, terms)} and limits.budget is"
                f" {limits.budget}; lower from_rewarded, or raise the budget",
            )
        elif years > _YEARS_MAX:
            yield Problem(
                where,
                f"is not reached within {_YEARS_MAX} years: limits.per_referrer puts off {number} rewards for longer;"
                " lower from_rewarded, or raise the limit",
            )


def _years_to(terms: Terms, number: int, least_minor: int) -> float:
    """Return for how many years the referrer's limit delays the reward after ``number`` of at least ``least_minor``."""
    own = terms.limits.per_referrer
    if own is None:
        return 0.0
    counts = [] if own.rewards is None else [own.rewards]
    if own.amount is not None and least_minor:
        counts.append(-(-terms.minor(own.amount) // least_minor))
    return number // min(counts) * _years(own.period) if counts else 0.0


def _years(period: Period) -> float:
    return period.months / 12 + (period.days + period.exact.total_seconds() / 86_400) / 365.25


def _pay(rate: Rate) -> tuple[object, ...]:
    """Return what a rate pays, in a form that compares equal for equal rates."""
    if rate.rule.percent is None:
        return (rate.least_minor,)
    bounds = [*per_reward(rate.terms), *([] if rate.rule.cap is None else [rate.terms.minor(rate.rule.cap)])]
    return (rate.rule.percent, min(bounds, default=None))
