"""Finds implausible amounts in well-formed terms: caps that always apply, limits below one reward, missing bounds."""

from collections.abc import Iterator

from referral_rewards.domain import money
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import Problem
from referral_rewards.domain.programs.terms import PayoutCycle, Terms
from referral_rewards.domain.readiness.rates import least_of, most_of, most_of_a_claim, of_side, rates, said

Problems = Iterator[Problem]


def caps_that_always_bite(terms: Terms) -> Problems:
    """Find percentages whose cap applies from the smallest conversion on, so that they are flat amounts."""
    for rate in rates(terms):
        if rate.rule.percent is None or rate.rule.cap is None or not rate.floor_minor:
            continue
        share, cap = money.percent_of(rate.floor_minor, rate.rule.percent), terms.minor(rate.rule.cap)
        if share >= cap:
            yield Problem(
                f"{rate.where}.cap",
                f"always applies: {rate.rule.percent} % of the smallest amount, {said(rate.floor_minor, terms)}, is"
                f" {said(share, terms)} already; raise the cap, or set amount: {_plain(cap, terms)}",
            )


def limits_below_one_reward(terms: Terms) -> Problems:
    """Find limits that the smallest reward already exceeds, so that no one ever gets what the terms promise."""
    found, limits = rates(terms), terms.limits
    if limits.per_reward is not None and found:
        largest = max(found, key=lambda rate: rate.at(rate.floor_minor))
        promised = largest.at(largest.floor_minor)
        yield from _too_low("limits.per_reward", terms.minor(limits.per_reward), promised, f"by {largest.where}", terms)
    referrers = of_side(found, Side.REFERRER)
    if limits.per_referrer is not None and limits.per_referrer.amount is not None and referrers:
        largest = max(referrers, key=lambda rate: rate.least_minor)
        limit = terms.minor(limits.per_referrer.amount)
        yield from _too_low("limits.per_referrer.amount", limit, largest.least_minor, f"by {largest.where}", terms)
    if limits.budget is not None and found:
        largest = max(found, key=lambda rate: rate.least_minor)
        budget, one_referral = terms.minor(limits.budget), sum(least_of(terms, side) for side in Side)
        yield from (
            _too_low("limits.budget", budget, largest.least_minor, f"by {largest.where}", terms)
            or _too_low("limits.budget", budget, one_referral, "for both sides of a referral", terms)
        )


def percentages_of_nothing(terms: Terms) -> Problems:
    """Find percentages that round to zero at the smallest qualifying conversion."""
    for rate in rates(terms):
        if rate.rule.percent is None or not rate.floor_minor:
            continue
        if not money.percent_of(rate.floor_minor, rate.rule.percent):
            yield Problem(
                f"{rate.where}.percent",
                f"{rate.rule.percent} % of the smallest amount, {said(rate.floor_minor, terms)}, rounds to zero;"
                " raise the percentage or qualifying.minimum",
            )


def unbounded_percentages(terms: Terms) -> Problems:
    """Find percentages without any bound: one mistyped order could pay any amount."""
    for rate in rates(terms):
        if rate.rule.percent is not None and rate.most_minor is None:
            yield Problem(
                f"{rate.where}.percent", "has no upper limit; add a cap, or set limits.per_reward or limits.budget"
            )


def four_eyes_out_of_reach(terms: Terms) -> Problems:
    """Find a four-eyes amount that neither one claim nor one referrer's total in a period can reach."""
    eyes, limits = terms.approval.four_eyes_from, terms.limits
    largest = most_of_a_claim(terms)
    if eyes is None or largest is None:
        return
    if limits.per_referrer is not None and limits.per_referrer.amount is not None:
        largest = max(largest, terms.minor(limits.per_referrer.amount))
    if limits.budget is not None:
        largest = min(largest, terms.minor(limits.budget))
    if terms.minor(eyes) > largest:
        yield Problem(
            "approval.four_eyes_from",
            f"is never reached: these terms pay at most {said(largest, terms)}; lower it, or remove it",
        )


def cycle_minimum_out_of_reach(terms: Terms) -> Problems:
    """Find a payout minimum that a payee can't reach. A referee is rewarded once; a referrer's rewards add up."""
    timing = terms.payouts.timing
    if not isinstance(timing, PayoutCycle) or timing.minimum is None:
        return
    minimum, found = terms.minor(timing.minimum), rates(terms)
    referees, referrers = (of_side(found, side) for side in (Side.REFEREE, Side.REFERRER))
    most = most_of(referees)
    if referees and most is not None and minimum > most:
        yield Problem(
            "payouts.timing.minimum",
            f"is above the largest reward of a referee, {said(most, terms)}, who is rewarded once and would never be"
            " paid; set it to that amount or less",
        )
        return
    held = _most_of_one_referrer(terms, most_of(referrers))
    if referrers and held is not None and minimum > held:
        yield Problem(
            "payouts.timing.minimum",
            f"is above the most that the limits let one referrer receive, {said(held, terms)}; set it to that or less",
        )


def _too_low(where: str, limit_minor: int, reward_minor: int, whose: str, terms: Terms) -> list[Problem]:
    if limit_minor >= reward_minor:
        return []
    return [
        Problem(
            where,
            f"is below a single reward ({said(reward_minor, terms)} {whose}) and always reduces it; raise it to that"
            " amount or more, or lower the reward",
        )
    ]


def _most_of_one_referrer(terms: Terms, single_minor: int | None) -> int | None:
    """Return the most that one referrer can get in a period of the limits, or None if there is no limit."""
    own, bounds = terms.limits.per_referrer, []
    if terms.limits.budget is not None:
        bounds.append(terms.minor(terms.limits.budget))
    if own is not None and own.amount is not None:
        bounds.append(terms.minor(own.amount))
    if own is not None and own.rewards is not None and single_minor is not None:
        bounds.append(own.rewards * single_minor)
    return min(bounds, default=None)


def _plain(amount_minor: int, terms: Terms) -> str:
    return f'"{money.from_minor(amount_minor, terms.currency)}"'
