"""The rates in program terms, each with the smallest and largest reward it can pay."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.programs.terms import Partner, RewardKind, RewardRule, Terms, Tier

#: Conversions that always have an amount. Any other kind may have none: a percentage of it is zero, and in tiers by
#: amount it reaches the lowest tier.
PRICED: Final = frozenset({"purchase", "subscription"})


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate of a side. ``where`` is its path in the terms.

    ``floor_minor`` is the smallest qualifying net amount to which the rate applies; 0 if the terms name none.
    """

    where: str
    side: Side
    kind: RewardKind
    rule: RewardRule | Tier | Partner
    terms: Terms
    floor_minor: int

    def at(self, net_minor: int) -> int:
        """Return the reward for a net amount, after the rate's own cap and before any limit of the program."""
        if self.rule.percent is None:
            return self.terms.minor(self.rule.amount or Decimal(0))
        share = money.percent_of(net_minor, self.rule.percent)
        return share if self.rule.cap is None else min(share, self.terms.minor(self.rule.cap))

    @property
    def least_minor(self) -> int:
        """The smallest reward for a conversion with an amount, limited only by `limits.per_reward`."""
        return min([self.at(self.floor_minor), *per_reward(self.terms)])

    @property
    def most_minor(self) -> int | None:
        """The largest single reward, or None if it has no bound."""
        limits = self.terms.limits
        bounds = [*per_reward(self.terms)]
        if self.rule.percent is None:
            bounds.append(self.at(0))
        elif self.rule.cap is not None:
            bounds.append(self.terms.minor(self.rule.cap))
        if self.side is Side.REFERRER and limits.per_referrer is not None and limits.per_referrer.amount is not None:
            bounds.append(self.terms.minor(limits.per_referrer.amount))
        if limits.budget is not None:
            bounds.append(self.terms.minor(limits.budget))
        return min(bounds, default=None)


def rates(terms: Terms) -> tuple[Rate, ...]:
    """Return every rate of the terms: referrer, referee, and partners, whose rates replace the referrer's."""
    return tuple(_rates(terms))


def of_side(found: Iterable[Rate], side: Side) -> list[Rate]:
    """Return the rates of one side."""
    return [rate for rate in found if rate.side is side]


def most_of(found: Sequence[Rate]) -> int | None:
    """Return the largest single reward of these rates, or None if it has no bound."""
    amounts = [rate.most_minor for rate in found]
    return None if None in amounts else max((each for each in amounts if each is not None), default=0)


def most_of_a_claim(terms: Terms, sides: Iterable[Side] = Side, *, partners: bool = True) -> int | None:
    """Return the largest total of one claim for these sides together, or None if it has no bound."""
    found = [rate for rate in rates(terms) if partners or not isinstance(rate.rule, Partner)]
    amounts = [most_of(of_side(found, side)) for side in sides]
    if None in amounts:
        return None
    most = sum(each for each in amounts if each is not None)
    return most if terms.limits.budget is None else min(most, terms.minor(terms.limits.budget))


def least_of(terms: Terms, side: Side) -> int:
    """Return the smallest reward of a side for any kind of conversion, without the partners' rates."""
    priced = PRICED.issuperset(terms.qualifying.kinds)
    found = [rate for rate in of_side(rates(terms), side) if not isinstance(rate.rule, Partner)]
    return min((rate.least_minor if priced or rate.rule.percent is None else 0 for rate in found), default=0)


def per_reward(terms: Terms) -> list[int]:
    """Return the limit of a single reward in minor units, in a list that is empty if the terms have none."""
    return [] if terms.limits.per_reward is None else [terms.minor(terms.limits.per_reward)]


def said(amount_minor: int, terms: Terms) -> str:
    """Format an amount of the terms for people."""
    return money.display(amount_minor, terms.currency)


def _rates(terms: Terms) -> Iterator[Rate]:
    minimum = terms.qualifying.minimum
    floor = 0 if minimum is None else terms.minor(minimum)
    for side, rule in ((Side.REFERRER, terms.rewards.referrer), (Side.REFEREE, terms.rewards.referee)):
        if rule is None:
            continue
        where = f"rewards.{side}"
        if rule.tiers is None:
            yield Rate(where, side, rule.kind, rule, terms, floor)
        for index, tier in enumerate(rule.tiers or ()):
            starts = floor if tier.from_amount is None else max(floor, terms.minor(tier.from_amount))
            yield Rate(f"{where}.tiers.{index}", side, rule.kind, tier, terms, starts)
    if terms.rewards.referrer is not None:
        for index, partner in enumerate(terms.partners):
            kind = terms.rewards.referrer.kind
            yield Rate(f"partners.{index}", Side.REFERRER, kind, partner, terms, floor)
