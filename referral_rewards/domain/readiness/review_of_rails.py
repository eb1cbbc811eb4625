"""Finds wrong rails in well-formed terms: unknown, unsuited to the reward kind, or unable to pay its amounts."""

from collections.abc import Iterator

import iso4217

from referral_rewards.domain import money
from referral_rewards.domain.errors import Problem
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, payable, pays_in, step_minor, suited
from referral_rewards.domain.programs.terms import RewardKind, Terms
from referral_rewards.domain.readiness.rates import rates

Problems = Iterator[Problem]


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
