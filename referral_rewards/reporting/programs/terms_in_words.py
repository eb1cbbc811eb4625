"""The terms of a program in readable form: sections on what is promised, by when, and who decides."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from referral_rewards.domain import money
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.programs.terms import Partner, PayoutCycle, RewardRule, Terms, Tier

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: The number of days that every month has.
_SHORTEST_MONTH: Final = 28


class Line(NamedTuple):
    """One term: its name and its value in words."""

    what: str
    said: str


class Part(NamedTuple):
    """Lines that belong together."""

    title: str
    lines: tuple[Line, ...]


def in_words(terms: Terms) -> list[Part]:
    """Return every section of the terms, with defaults written out."""
    return [
        Part("Periods", tuple(_periods(terms))),
        Part("What qualifies", tuple(_qualifying(terms))),
        Part("Rewards", tuple(_rewards(terms))),
        Part("Limits", tuple(_limits(terms))),
        Part("Approval", tuple(_approval(terms))),
        Part("Payment", tuple(_payment(terms))),
        Part("Fraud signals", tuple(_fraud(terms))),
    ]


def _periods(terms: Terms) -> Iterator[Line]:
    periods = terms.periods
    for channel, expiry in periods.expiry.items():
        yield Line(f"Invitation by {label('channel', channel)} can be claimed for", expiry.in_words)
    yield Line("A purchase qualifies after the claim for", periods.offer.in_words)
    yield Line("A claim covers an earlier purchase for", periods.grace.in_words)
    yield Line("A purchase can be returned for", periods.return_.in_words)
    yield Line("Late facts are waited for", periods.arrival_allowance.in_words)
    yield Line("Refunds are watched after payment for", periods.watch.in_words)
    ends = {"instant": "at the same time of day", "end_of_day": "at the end of the day"}
    yield Line("Each period ends", f"{ends.get(periods.day_boundary, periods.day_boundary)} in {terms.timezone}")


def _qualifying(terms: Terms) -> Iterator[Line]:
    qualifying = terms.qualifying
    yield Line("Conversions", listed(labels("conversion", qualifying.kinds), "or"))
    yield Line("Minimum amount", _amount(terms, qualifying.minimum) or "none")
    yield Line("New customers only", _yes(qualifying.new_customers_only))
    yield Line("Public advocacy permission required", _yes(qualifying.advocacy_permission_required))
    yield Line("Conversions confirmed by", terms.sources.conversions)
    yield Line("Customer issues and consents from", terms.sources.customers or "our own records only")


def _rewards(terms: Terms) -> Iterator[Line]:
    for side, rule in (("referrer", terms.rewards.referrer), ("referee", terms.rewards.referee)):
        yield Line(f"For the {side}", reward_in_words(terms, rule) if rule else "none")
    for partner in terms.partners:
        until = f" until {partner.valid_until.isoformat()} (exclusive)" if partner.valid_until else ""
        said = f"{_rate(terms, partner)}, from {partner.valid_from.isoformat()}{until}"
        yield Line(f"For partner {partner.partner} instead", said)


def reward_in_words(terms: Terms, rule: RewardRule) -> str:
    """Return what a reward comes to, with its kind, in words."""
    if not rule.tiers:
        return f"{_rate(terms, rule)}, {label('kind', rule.kind)}"
    tiers = [f"{_rate(terms, tier)} {_from(terms, tier)}" for tier in rule.tiers]
    return f"{'; '.join(tiers)}; {label('kind', rule.kind)}"


def _rate(terms: Terms, rate: RewardRule | Tier | Partner) -> str:
    flat = (
        _amount(terms, rate.amount)
        if rate.amount is not None
        else f"{format(rate.percent or 0, 'f')} % of the net amount"
    )
    return f"{flat}, at most {_amount(terms, rate.cap)}" if rate.cap is not None else flat


def _from(terms: Terms, tier: Tier) -> str:
    if tier.from_amount is not None:
        return f"for amounts from {_amount(terms, tier.from_amount)}"
    return "from the first reward" if not tier.from_rewarded else f"after {tier.from_rewarded} approved rewards"


def _limits(terms: Terms) -> Iterator[Line]:
    limits, each = terms.limits, terms.limits.per_referrer
    if each is not None:
        most = [f"{each.rewards} rewards"] if each.rewards is not None else []
        most += [_amount(terms, each.amount)] if each.amount is not None else []
        yield Line("Per referrer", f"{' and '.join(most)} within {each.period.in_words}")
    yield Line("Per reward", _amount(terms, limits.per_reward) or "no limit")
    yield Line("Program budget", _amount(terms, limits.budget) or "no budget")


def _approval(terms: Terms) -> Iterator[Line]:
    approval = terms.approval
    for kind, roles in approval.routes.items():
        yield Line(f"Approval of {label('kind', kind)} by", listed(labels("role", roles)))
    yield Line("Two approvers from", _amount(terms, approval.four_eyes_from) or "overrides only")
    yield Line("Reminder to approvers after", approval.remind_after.in_words)
    yield Line("Escalation after", f"{approval.escalate_after.in_words}, to {label('role', approval.escalate_to)}")


def _on(timing: PayoutCycle) -> str:
    if timing.cycle == "weekly":
        return f"each {_WEEKDAYS[timing.day - 1]}"
    return f"on day {timing.day} of each month{', or its last' if timing.day > _SHORTEST_MONTH else ''}"


def _payment(terms: Terms) -> Iterator[Line]:
    timing = terms.payouts.timing
    if timing == "immediate":
        yield Line("Paid", "as soon as it is approved")
    else:
        least = f", to payees with at least {_amount(terms, timing.minimum)} due" if timing.minimum is not None else ""
        yield Line("Paid", f"{_on(timing)}{least}")
    for kind, rail in terms.payouts.rails.items():
        yield Line(f"Rail for {label('kind', kind)}", label("rail", rail))
    yield Line("Tax regime", label("regime", terms.tax.regime))
    hours = terms.contact_hours
    yield Line("Messages are sent", f"{hours.start:%H:%M} to {hours.end:%H:%M}" if hours else "at any hour")
    asked = "each person once, a day after payment or denial" if terms.satisfaction_survey else "nobody is asked"
    yield Line("Satisfaction survey", asked)


def _fraud(terms: Terms) -> Iterator[Line]:
    yield Line("Review from a fraud score of", str(terms.fraud.threshold))
    for signal, weight in terms.fraud.weights.items():
        yield Line(_title(label("signal", signal)), f"adds {weight}")
    if terms.fraud.blocked_countries:
        yield Line("Blocked countries", ", ".join(terms.fraud.blocked_countries))
    if terms.fraud.blocked_sites:
        yield Line("Blocked sites", ", ".join(terms.fraud.blocked_sites))


def _amount(terms: Terms, amount: Decimal | None) -> str:
    return "" if amount is None else money.display(terms.minor(amount), terms.currency)


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def _title(said: str) -> str:
    return said[:1].upper() + said[1:]
