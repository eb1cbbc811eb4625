"""The timeline of a referral: its four periods, and what happened when."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting.referrals.everything import ReferralShown
from referral_rewards.reporting.referrals.periods import Periods

#: More marks than this would be unreadable; events left out are still in the list of facts.
MARKS_MAX: Final = 24


class Sign(StrEnum):
    """The kind of a mark; each kind has its own shape."""

    STEP = "step"
    CONVERSION = "conversion"
    TAKEN_BACK = "taken_back"
    DECISION = "decision"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Span:
    """One of the four periods. ``starts`` and ``ends`` are both None if it has not begun; ``note`` explains why.
    ``over``: it has ended."""

    name: str
    label: str
    starts: datetime | None = None
    ends: datetime | None = None
    note: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """An event in words; ``good`` is None if it is neither good nor bad for the reward."""

    at: datetime
    sign: Sign
    said: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The content of the picture; ``zone`` is the program's time zone, in which its periods end."""

    zone: str
    now: datetime
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    left_out: int = 0


def timeline(shown: ReferralShown, now: datetime) -> Timeline | None:
    """Return the timeline of a referral; None if no terms apply to it yet."""
    periods = shown.periods
    if periods is None:
        return None
    marks = sorted(_marks(shown, periods), key=lambda mark: mark.at)
    spans = tuple(_spans(shown, periods, now))
    return Timeline(periods.timezone, now, spans, tuple(marks[:MARKS_MAX]), len(marks[MARKS_MAX:]))


def _spans(shown: ReferralShown, periods: Periods, now: datetime) -> Iterator[Span]:
    def span(name: str, label: str, starts: datetime | None, ends: datetime | None, without: str) -> Span:
        if starts is None or ends is None:
            return Span(name, label, note=without)
        return Span(name, label, starts, ends, over=ends <= now)

    yield span("invitation", "Invitation", periods.began_at, periods.invitation_ends, "no end")
    bought, reached = _grace(periods)
    yield span("grace", "Grace", bought, reached, "not needed so far")
    yield span("offer", "Offer", periods.claimed_at, periods.offer_ends, "begins with the claim")
    counted = shown.conversion.occurred_at if shown.conversion else None
    yield span("return", "Return", counted, periods.return_ends, "begins with a purchase")


def _grace(periods: Periods) -> tuple[datetime | None, datetime | None]:
    """Return the grace period of the purchase before the claim: its start and its end; the one that ends last."""
    reaching = [(each.occurred_at, each.grace_ends) for each in periods.conversions if each.grace_ends is not None]
    before = [(p, ends) for p, ends in reaching if periods.claimed_at is None or p < periods.claimed_at < ends]
    return max(before, key=lambda each: each[1], default=(None, None))


def _marks(shown: ReferralShown, periods: Periods) -> Iterator[Mark]:
    for fact in shown.facts:
        if (drawn := _FACTS.get(fact.type)) is not None:
            sign, good, say = drawn
            at, said = fact.occurred_at, say(fact.data)
            if fact.type == FactType.REFERRAL_CLAIMED and periods.claim_by is not None and at >= periods.claim_by:
                said, good = f"{said}, too late", False
            yield Mark(at, sign, f"{said} (late)" if fact.late else said, good)
    for made in shown.decisions:
        if made.genuine:
            said = f"{label('decided', made.act)} by {made.user} ({label('decision_reason', made.reason)})"
            yield Mark(made.decided_at, Sign.DECISION, f"{said[:1].upper()}{said[1:]}", _DECIDED.get(made.act))
    for payout in shown.payouts:
        if payout.first_sent_at is not None:
            settled = payout.state is PayoutState.SETTLED
            said = f"The {payout.role or 'other'}'s reward was sent ({label('rail', payout.rail)})"
            yield Mark(payout.first_sent_at, Sign.PAYMENT, said, True if settled else None)
    for case in shown.clawbacks:
        yield Mark(case.opened_at, Sign.TAKEN_BACK, "Clawback case opened", good=False)
    if shown.closed_at is not None:
        why = f", {label('reason', shown.reason)}" if shown.reason else ""
        yield Mark(shown.closed_at, Sign.STEP, f"Closed: {label('status', shown.status)}{why}", good=False)


def _order(data: Mapping[str, Any]) -> str:
    amount = f", {data['amount']} {data.get('currency') or ''}".rstrip() if data.get("amount") else ""
    store = f" of store {data['store']}" if data.get("store") else ""
    return f"{data.get('order') or 'without a number'}{store}{amount}"


_DECIDED: Final = {"approve": True, "release": True, "deny": False, "hold": False}

#: The facts that are drawn, and their words. Facts about the referrer in general are left out.
_FACTS: Final[Mapping[str, tuple[Sign, bool | None, Callable[[Mapping[str, Any]], str]]]] = {
    FactType.REFERRAL_SENT: (Sign.STEP, None, lambda d: f"Invitation sent ({label('channel', d.get('channel'))})"),
    FactType.REFERRAL_CLAIMED: (Sign.STEP, True, lambda d: "Offer claimed by the referee"),
    FactType.REWARD_REQUESTED: (Sign.STEP, None, lambda d: "Reward requested by hand"),
    FactType.REFERRAL_WITHDRAWN: (Sign.STEP, False, lambda d: "Withdrawn"),
    FactType.REFERRAL_APPEALED: (Sign.STEP, None, lambda d: "Appealed"),
    FactType.CONVERSION_RECORDED: (Sign.CONVERSION, True, lambda d: f"Conversion, order {_order(d)}"),
    FactType.CONVERSION_REPORTED: (Sign.CONVERSION, None, lambda d: f"Order {_order(d)} reported by a participant"),
    FactType.CONVERSION_REVERSED: (
        Sign.TAKEN_BACK,
        False,
        lambda d: f"{label('reversal', d.get('kind', 'reversal')).capitalize()}, order {_order(d)}",
    ),
    FactType.CONVERSION_AMENDED: (Sign.CONVERSION, None, lambda d: f"Order {_order(d)}: amount amended"),
    FactType.REVERSAL_FAILED: (Sign.CONVERSION, None, lambda d: f"A reversal of order {_order(d)} failed"),
    FactType.DISPUTE_OPENED: (Sign.TAKEN_BACK, False, lambda d: f"Payment dispute opened, order {_order(d)}"),
    FactType.DISPUTE_CLOSED: (Sign.STEP, None, lambda d: f"Payment dispute closed, order {_order(d)}"),
    FactType.ATTRIBUTION_CHANGED: (
        Sign.STEP,
        None,
        lambda d: f"Change of attribution to {d.get('to_referrer')} requested",
    ),
}
