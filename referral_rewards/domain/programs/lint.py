"""Checks between the sections of program terms. Each check reads the sections it needs and ignores absent ones.

A section that could not be read is not in ``parts``. The other sections are still checked, so that one mistake does not
hide another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.domain.errors import Problem, none_of
from referral_rewards.domain.facts.payloads import Channel
from referral_rewards.domain.payees import tax_thresholds
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.programs.sections import (
    Approval,
    ContactHours,
    Limits,
    Partner,
    Payouts,
    Periods,
    Qualifying,
    RewardRule,
    Rewards,
    Section,
    Tax,
    Tier,
)

Problems = Iterator[Problem]


def lint(parts: Mapping[str, Any]) -> list[Problem]:
    """Return every problem between the sections; ``parts`` holds those that could be read, by name."""
    return [problem for check in _CHECKS for problem in check(parts)]


def _periods(parts: Mapping[str, Any]) -> Problems:
    periods: Periods | None = parts.get("periods")
    if periods is None:
        return
    if Channel.EMAIL not in periods.expiry:
        yield Problem("periods.expiry.email", "is required: an invitation by email must end")
    if Channel.LEAD in periods.expiry:
        yield Problem("periods.expiry.lead", "must be left out: a lead counts as claimed when it is sent")


def _rewards(parts: Mapping[str, Any]) -> Problems:
    rewards: Rewards | None = parts.get("rewards")
    if rewards is None:
        return
    if rewards.referrer is None and rewards.referee is None:
        yield Problem("rewards", "must name a reward for the referrer or the referee")
    for side, rule in _rules(rewards):
        yield from _rule(f"rewards.{side}", rule)


def _rule(where: str, rule: RewardRule) -> Problems:
    if rule.tiers is None:
        yield from _rate(where, rule, "one of amount, percent or tiers is required")
        return
    if rule.amount is not None or rule.percent is not None or rule.cap is not None:
        yield Problem(where, "has tiers, so amount, percent and cap belong into each of them")
    bounds = _bounds(rule.tiers)
    if not bounds:
        yield Problem(f"{where}.tiers", "needs a tier, each with from_rewarded or each with from_amount")
    elif bounds[0] != 0:
        yield Problem(f"{where}.tiers.0", "the first tier starts at 0")
    for index, (lower, upper) in enumerate(pairwise(bounds), start=1):
        if upper <= lower:
            yield Problem(f"{where}.tiers.{index}", "tiers ascend: this one does not start above the one before")
    for index, tier in enumerate(rule.tiers):
        yield from _rate(f"{where}.tiers.{index}", tier, "one of amount or percent is required")


def _bounds(tiers: Sequence[Tier]) -> list[Decimal]:
    """Return where each tier starts; empty if the tiers don't all use the same measure."""
    by_count = [Decimal(tier.from_rewarded) for tier in tiers if tier.from_rewarded is not None]
    by_amount = [tier.from_amount for tier in tiers if tier.from_amount is not None]
    if by_count and by_amount:
        return []
    return next((bounds for bounds in (by_count, by_amount) if len(bounds) == len(tiers)), [])


def _rate(where: str, rate: RewardRule | Tier | Partner, neither: str) -> Problems:
    if rate.amount is None and rate.percent is None:
        yield Problem(where, neither)
    elif rate.amount is not None and rate.percent is not None:
        yield Problem(where, "amount and percent exclude each other")
    if rate.cap is not None and rate.percent is None:
        yield Problem(f"{where}.cap", "belongs to a percent")


def _limits(parts: Mapping[str, Any]) -> Problems:
    limits: Limits | None = parts.get("limits")
    if limits is None or limits.per_referrer is None:
        return
    if limits.per_referrer.rewards is None and limits.per_referrer.amount is None:
        yield Problem("limits.per_referrer", "needs rewards or amount")
    if limits.per_referrer.period.is_zero:
        yield Problem("limits.per_referrer.period", "must be longer than no time at all")


def _partners(parts: Mapping[str, Any]) -> Problems:
    partners: tuple[Partner, ...] = parts.get("partners", ())
    rewards: Rewards | None = parts.get("rewards")
    if partners and rewards is not None and rewards.referrer is None:
        yield Problem("partners", "a partner's rate replaces the referrer's reward, and the terms name none")
    for index, one in enumerate(partners):
        where = f"partners.{index}"
        yield from _rate(where, one, "one of amount or percent is required")
        if one.valid_until is not None and one.valid_until <= one.valid_from:
            yield Problem(f"{where}.valid_until", "must be after valid_from")
        for earlier in partners[:index]:
            if earlier.partner == one.partner and _overlap(earlier, one):
                yield Problem(where, f"overlaps another rate of partner {one.partner}")


def _overlap(one: Partner, other: Partner) -> bool:
    return (other.valid_until is None or one.valid_from < other.valid_until) and (
        one.valid_until is None or other.valid_from < one.valid_until
    )


def _approval(parts: Mapping[str, Any]) -> Problems:
    approval: Approval | None = parts.get("approval")
    if approval is None:
        return
    for kind, roles in approval.routes.items():
        if not roles:
            yield Problem(f"approval.routes.{kind}", "needs at least one role")
        if Role.ADMINISTRATOR in roles:
            yield Problem(f"approval.routes.{kind}", "an administrator has no authority over money")
    for name in ("remind_after", "escalate_after"):
        if getattr(approval, name).is_zero:
            yield Problem(f"approval.{name}", "must be longer than no time at all")


def _routes_of_kinds(parts: Mapping[str, Any]) -> Problems:
    """Check that every kind of reward in use can be approved and paid."""
    rewards: Rewards | None = parts.get("rewards")
    approval: Approval | None = parts.get("approval")
    payouts: Payouts | None = parts.get("payouts")
    if rewards is None:
        return
    for kind in sorted({rule.kind for _, rule in _rules(rewards)}):
        if approval is not None and kind not in approval.routes:
            yield Problem(f"approval.routes.{kind}", f"is required: the terms promise {kind}")
        if payouts is not None and kind not in payouts.rails:
            yield Problem(f"payouts.rails.{kind}", f"is required: the terms promise {kind}")


def _money(parts: Mapping[str, Any]) -> Problems:
    """Check that no amount has more decimals than the currency."""
    currency: str | None = parts.get("currency")
    if currency is not None:
        for name, part in parts.items():
            for where, amount in _amounts(name, part):
                if not money.fits(amount, currency):
                    yield Problem(where, f"{amount} has more decimals than {currency} has")


def _amounts(where: str, value: Any) -> Iterator[tuple[str, Decimal]]:
    """Yield every amount of money with its path: all decimals except percentages."""
    if isinstance(value, Decimal):
        yield where, value
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            if name != "percent":
                yield from _amounts(f"{where}.{name}", getattr(value, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _amounts(f"{where}.{index}", item)


def _contact_hours(parts: Mapping[str, Any]) -> Problems:
    hours: ContactHours | None = parts.get("contact_hours")
    if hours is not None and hours.end <= hours.start:
        yield Problem("contact_hours.end", "must be after start")


def _qualifying(parts: Mapping[str, Any]) -> Problems:
    qualifying: Qualifying | None = parts.get("qualifying")
    if qualifying is not None and not qualifying.kinds:
        yield Problem("qualifying.kinds", "needs at least one kind of conversion")
    if qualifying is not None and len(set(qualifying.kinds)) < len(qualifying.kinds):
        yield Problem("qualifying.kinds", "names a kind twice")


def _tax(parts: Mapping[str, Any]) -> Problems:
    section: Tax | None = parts.get("tax")
    known = (tax_thresholds.NO_REGIME, *tax_thresholds.THRESHOLDS)
    if section is not None and section.regime not in known:
        yield Problem("tax.regime", none_of(section.regime, known))


def _rules(rewards: Rewards) -> list[tuple[str, RewardRule]]:
    sides = (("referrer", rewards.referrer), ("referee", rewards.referee))
    return [(side, rule) for side, rule in sides if rule is not None]


_CHECKS: Final[tuple[Callable[[Mapping[str, Any]], Problems], ...]] = (
    _periods,
    _qualifying,
    _rewards,
    _limits,
    _partners,
    _approval,
    _routes_of_kinds,
    _money,
    _tax,
    _contact_hours,
)
