"""The terms of a program in readable form: sections on what is promised, by when, and who decides."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from referral_rewards.domain import money
from referral_rewards.domain.calendar import Period
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


def spoken(period: Period) -> str:
    """Return a period in words: ``30 days``, ``1 month and 5 days``, ``1 hour``."""
    years, months = divmod(period.months, 12)
    seconds = int(period.exact.total_seconds())
    counts = [(years, "year"), (months, "month"), (period.days, "day"), (seconds // 3600, "hour")]
    counts += [(seconds % 3600 // 60, "minute"), (seconds % 60, "second")]
    said = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counts if count]
    return " and ".join(said) or "none"


def _periods(terms: Terms) -> Iterator[Line]:
    periods = terms.periods
    for channel, expiry in periods.expiry.items():
        yield Line(f"An invitation by {_code(channel)} can be claimed for", spoken(expiry))
    yield Line("A purchase counts after the claim for", spoken(periods.offer))
    yield Line("A claim still reaches a purchase before it for", spoken(periods.grace))
    yield Line("A purchase can be returned for", spoken(periods.return_))
    yield Line("What arrives late is waited for", spoken(periods.arrival_allowance))
    yield Line("Refunds are watched after paying for", spoken(periods.watch))
    ends = {"instant": "at the same time of day", "end_of_day": "at the midnight that closes the day"}
    yield Line("Each period ends", f"{ends.get(periods.day_boundary, periods.day_boundary)}, {terms.timezone}")


def _qualifying(terms: Terms) -> Iterator[Line]:
    qualifying = terms.qualifying
    yield Line("Conversions", ", ".join(map(_code, qualifying.kinds)))
    yield Line("At least", _amount(terms, qualifying.minimum) or "any amount")
    yield Line("New customers only", _yes(qualifying.new_customers_only))
    yield Line("Asks for permission of public advocacy", _yes(qualifying.advocacy_permission_required))
    yield Line("Confirmed by", terms.sources.conversions)
    yield Line("Customers' issues and consents are known to", terms.sources.customers or "nobody but our own record")


def _rewards(terms: Terms) -> Iterator[Line]:
    for side, rule in (("referrer", terms.rewards.referrer), ("referee", terms.rewards.referee)):
        yield Line(f"To the {side}", _rule(terms, rule) if rule else "nothing")
    for partner in terms.partners:
        until = f" until {partner.valid_until.isoformat()} (exclusive)" if partner.valid_until else ""
        said = f"{_rate(terms, partner)}, from {partner.valid_from.isoformat()}{until}"
        yield Line(f"To partner {partner.partner} instead", said)


def _rule(terms: Terms, rule: RewardRule) -> str:
    if not rule.tiers:
        return f"{_rate(terms, rule)}, as {_code(rule.kind)}"
    tiers = [f"{_rate(terms, tier)} {_from(terms, tier)}" for tier in rule.tiers]
    return f"{'; '.join(tiers)}; as {_code(rule.kind)}"


def _rate(terms: Terms, rate: RewardRule | Tier | Partner) -> str:
    flat = _amount(terms, rate.amount) if rate.amount is not None else f"{format(rate.percent or 0, 'f')} % of the net"
    return f"{flat}, at most {_amount(terms, rate.cap)}" if rate.cap is not None else flat


def _from(terms: Terms, tier: Tier) -> str:
    if tier.from_amount is not None:
        return f"from {_amount(terms, tier.from_amount)} on"
    return f"from {tier.from_rewarded or 0} approved rewards on"


def _limits(terms: Terms) -> Iterator[Line]:
    limits, each = terms.limits, terms.limits.per_referrer
    if each is not None:
        most = [f"{each.rewards} rewards"] if each.rewards is not None else []
        most += [_amount(terms, each.amount)] if each.amount is not None else []
        yield Line("One referrer", f"{' and '.join(most)} within {spoken(each.period)}")
    yield Line("One reward", _amount(terms, limits.per_reward) or "no limit of its own")
    yield Line("The whole program", _amount(terms, limits.budget) or "no budget set")


def _approval(terms: Terms) -> Iterator[Line]:
    approval = terms.approval
    for kind, roles in approval.routes.items():
        yield Line(f"Rewards as {_code(kind)} are approved by", " and ".join(map(_code, roles)))
    yield Line("Two people from", _amount(terms, approval.four_eyes_from) or "overrides only")
    yield Line("Approvers are reminded after", spoken(approval.remind_after))
    yield Line("It is escalated after", f"{spoken(approval.escalate_after)}, to {_code(approval.escalate_to)}")


def _on(timing: PayoutCycle) -> str:
    if timing.cycle == "weekly":
        return f"each {_WEEKDAYS[timing.day - 1]}"
    return f"on day {timing.day} of each month{', or its last' if timing.day > _SHORTEST_MONTH else ''}"


def _payment(terms: Terms) -> Iterator[Line]:
    timing = terms.payouts.timing
    if timing == "immediate":
        yield Line("Paid", "as soon as it is approved")
    else:
        least = f", to whom at least {_amount(terms, timing.minimum)} is owed" if timing.minimum is not None else ""
        yield Line("Paid", f"{_on(timing)}{least}")
    for kind, rail in terms.payouts.rails.items():
        yield Line(f"As {_code(kind)} by", _code(rail))
    yield Line("Tax regime", terms.tax.regime)
    hours = terms.contact_hours
    yield Line("People are written to", f"{hours.start:%H:%M} to {hours.end:%H:%M}" if hours else "at any hour")


def _fraud(terms: Terms) -> Iterator[Line]:
    yield Line("A person must look from a score of", str(terms.fraud.threshold))
    for signal, weight in terms.fraud.weights.items():
        yield Line(_code(signal), f"adds {weight}")
    if terms.fraud.blocked_countries:
        yield Line("Blocked countries", ", ".join(terms.fraud.blocked_countries))
    if terms.fraud.blocked_sites:
        yield Line("Blocked sites", ", ".join(terms.fraud.blocked_sites))


def _amount(terms: Terms, amount: Decimal | None) -> str:
    return "" if amount is None else money.display(terms.minor(amount), terms.currency)


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def _code(value: str) -> str:
    return value.replace("_", " ")
