"""The figures of SPEC §8, and what each referral adds to them and on which day.

A contribution says: this referral adds so many, and so much, to a part of a figure on a day of the program's calendar.
Every report is a sum of contributions, so that a figure always leads to the referrals behind it.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.measures.life import Claim, Conversion, Life, Money, Reward
from referral_rewards.domain.measures.quantiles import step_of
from referral_rewards.domain.referrals.lifecycle import (
    APPROVED_OR_PAID,
    WITH_APPROVERS,
    Reason,
    ReferralStatus,
)


class Figure(StrEnum):
    """What is measured. The day of a contribution is that of the event that the comment names."""

    STARTED = "started"  # it began; parts: how far it came, and how it ended
    CLAIMS_CREATED = "claims_created"  # its claim was first assembled
    CLAIMS_WAITING = "claims_waiting"  # its claim was first assembled, and waits for approvers now
    CLAIMS_APPROVED = "claims_approved"  # an approval first reserved its rewards
    DENIED_BY_RULE = "denied_by_rule"  # it closed; part: the reason
    DENIED_BY_DECISION = "denied_by_decision"  # it closed
    EXCEPTIONS = "exceptions"  # its claim was first flagged at all
    FLAGGED = "flagged"  # its claim first had the flag; part: the flag
    DISPUTED = "disputed_attribution"  # its claim first had that flag; part: how it was settled
    DUPLICATES = "duplicate_claims"  # its claim first had that flag; amount: what it would have cost
    # Of a duration the part is the step of its histogram.
    CONVERSION_TO_SETTLED = "conversion_to_settled"  # a reward settled; amount: microseconds
    DUE_TO_DECIDED = "due_to_decided"  # it was decided; amount: microseconds
    DECIDED_TO_SETTLED = "decided_to_settled"  # a reward settled; amount: microseconds
    SETTLED = "settled"  # a reward settled; part: its kind
    TAKEN_BACK = "taken_back"  # a reward settled of which something was taken back since; part: its kind
    PAYABLE = "payable"  # a reward was approved that is not paid yet; part: its kind
    BUDGETED = "budgeted"  # a reward was approved that counts against the budget; part: its kind
    REWARDS_WAITING = "rewards_waiting"  # its claim was first assembled, and waits for approvers now; amount: its legs
    REWARDS_EXPECTED = "rewards_expected"  # the return period that it is in ends; amount: the most that becomes due
    CONVERTED = "converted"  # its conversion occurred; amount: the net amount
    CONVERTED_GROSS = "converted_gross"  # its conversion occurred; amount: the latest amount
    REVERSED = "reversed"  # its conversion occurred, of which something was reversed since; amount: what
    REWARDED = "rewarded"  # it was rewarded; amount: the net amount of its conversion
    LIFETIME = "lifetime_revenue"  # the referee ordered, also again, once a reward was paid; part: first or repeat
    ASKED = "asked"  # its referrer was asked how satisfied they are
    ANSWERED = "answered"  # its referrer was asked, and answered since
    RATED = "rated"  # somebody answered; part: the score


class Stage(StrEnum):
    """How far a referral came; each stage includes the ones before."""

    BEGAN = "began"
    CLAIMED = "claimed"
    CONVERTED = "converted"
    ASSEMBLED = "assembled"
    APPROVED = "approved"
    REWARDED = "rewarded"


class Purchase(StrEnum):
    """Which order of a referee it is: the one that the reward is for, or a later one."""

    FIRST = "first"
    REPEAT = "repeat"


class Settlement(StrEnum):
    """How a disputed attribution was settled."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"
    LAPSED = "lapsed"


#: The figures whose amounts are durations, in microseconds.
DURATIONS: Final = (Figure.CONVERSION_TO_SETTLED, Figure.DUE_TO_DECIDED, Figure.DECIDED_TO_SETTLED)


_MICROSECOND: Final = timedelta(microseconds=1)


class Contribution(NamedTuple):
    """What one referral adds to a figure: ``n`` to its number, and an amount in minor units of ``currency``, or without
    one in microseconds."""

    figure: Figure
    day: date
    part: str = ""
    currency: str = ""
    n: int = 1
    amount: int = 0

    @staticmethod
    def step(number: int) -> str:
        """Return the part that durations of a step of the histogram are counted under; parts sort as steps do."""
        return f"{number:04}"


def contributions(life: Life, zone: ZoneInfo) -> tuple[Contribution, ...]:
    """Return what a referral adds to every figure; days are those of the program's time zone ``zone``."""
    return tuple(_Adding(zone).all_of(life))


class _Adding:
    """Says on which day of the program's calendar something counts."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def all_of(self, life: Life) -> Iterator[Contribution]:
        yield from self._progress(life)
        yield from self._ends(life)
        if life.claim is not None:
            yield from self._claims(life, life.claim)
        if life.conversion is not None:
            yield from self._conversions(life, life.conversion)
        for reward in life.rewards:
            yield from self._rewards(life, reward)
        if any(reward.settled_at is not None for reward in life.rewards):
            yield from self._lifetime(life)
        for asked in life.asked:
            yield self._at(Figure.ASKED, asked)
            if any(rating.at >= asked for rating in life.ratings):
                yield self._at(Figure.ANSWERED, asked)
        for rating in life.ratings:
            yield self._at(Figure.RATED, rating.at, str(rating.score))

    def _progress(self, life: Life) -> Iterator[Contribution]:
        for stage in _stages(life):
            yield self._at(Figure.STARTED, life.began_at, stage)

    def _ends(self, life: Life) -> Iterator[Contribution]:
        if life.closed_at is None or life.claim is None or life.status is not ReferralStatus.DENIED:
            return
        if life.reason is Reason.DENIED_BY_DECISION:
            yield self._at(Figure.DENIED_BY_DECISION, life.closed_at)
        else:
            yield self._at(Figure.DENIED_BY_RULE, life.closed_at, life.reason or "")

    def _claims(self, life: Life, claim: Claim) -> Iterator[Contribution]:
        yield self._at(Figure.CLAIMS_CREATED, claim.assembled_at)
        if life.status in WITH_APPROVERS:
            yield self._at(Figure.CLAIMS_WAITING, claim.assembled_at)
            for worth in claim.rewards:
                yield self._worth(Figure.REWARDS_WAITING, claim.assembled_at, worth)
        if life.rewards:
            yield self._at(Figure.CLAIMS_APPROVED, min(reward.approved_at for reward in life.rewards))
        if life.decided_at is not None and life.due_at is not None:
            yield self._took(Figure.DUE_TO_DECIDED, life.due_at, life.decided_at)
        if claim.flagged:
            yield self._at(Figure.EXCEPTIONS, min(claim.flagged.values()))
        for flag, since in claim.flagged.items():
            yield self._at(Figure.FLAGGED, since, flag)
        if Flag.DISPUTED_ATTRIBUTION in claim.flagged:
            yield self._at(Figure.DISPUTED, claim.flagged[Flag.DISPUTED_ATTRIBUTION], _settlement(life))
        if Flag.DUPLICATE_CLAIM in claim.flagged:
            since = claim.flagged[Flag.DUPLICATE_CLAIM]
            yield self._at(Figure.DUPLICATES, since)
            for cost in claim.duplicate_cost:
                yield self._worth(Figure.DUPLICATES, since, cost, n=0)

    def _conversions(self, life: Life, conversion: Conversion) -> Iterator[Contribution]:
        at, net, gross = conversion.occurred_at, conversion.net, conversion.gross
        yield self._worth(Figure.CONVERTED, at, net)
        yield self._worth(Figure.CONVERTED_GROSS, at, gross)
        if net is not None and gross is not None and net.minor < gross.minor:
            yield self._worth(Figure.REVERSED, at, Money(net.currency, gross.minor - net.minor))
        if life.rewarded_at is not None:
            yield self._worth(Figure.REWARDED, life.rewarded_at, net)
        if life.expected is not None and life.due_at is not None:
            yield self._worth(Figure.REWARDS_EXPECTED, life.due_at, life.expected)

    def _lifetime(self, life: Life) -> Iterator[Contribution]:
        """What referees bring is counted where a reward was paid for them: so nobody's order counts twice."""
        for order in life.orders:
            which = Purchase.FIRST if order == life.conversion else Purchase.REPEAT
            if order.net is not None and order.net.minor:
                yield self._worth(Figure.LIFETIME, order.occurred_at, order.net, which)

    def _rewards(self, life: Life, reward: Reward) -> Iterator[Contribution]:
        if reward.counted:
            yield self._worth(Figure.BUDGETED, reward.approved_at, reward.amount, reward.kind)
        if reward.owed:
            yield self._worth(Figure.PAYABLE, reward.approved_at, reward.amount, reward.kind)
        if reward.settled_at is None:
            return
        yield self._worth(Figure.SETTLED, reward.settled_at, reward.amount, reward.kind)
        if reward.taken_back_minor:
            back = Money(reward.amount.currency, reward.taken_back_minor)
            yield self._worth(Figure.TAKEN_BACK, reward.settled_at, back, reward.kind)
        yield self._took(Figure.DECIDED_TO_SETTLED, reward.decided_at, reward.settled_at)
        if life.conversion is not None:
            yield self._took(Figure.CONVERSION_TO_SETTLED, life.conversion.occurred_at, reward.settled_at)

    def _at(self, figure: Figure, at: datetime, part: str = "") -> Contribution:
        return Contribution(figure, self._day(at), part)

    def _worth(self, figure: Figure, at: datetime, money: Money | None, part: str = "", *, n: int = 1) -> Contribution:
        currency, minor = money or ("", 0)
        return Contribution(figure, self._day(at), part, currency, n, minor)

    def _took(self, figure: Figure, start: datetime, end: datetime) -> Contribution:
        """The time counts on the day that it ended."""
        duration = (end - start) // _MICROSECOND
        return Contribution(figure, self._day(end), Contribution.step(step_of(duration)), amount=duration)

    def _day(self, at: datetime) -> date:
        return at.astimezone(self._zone).date()


def _stages(life: Life) -> Iterable[Stage]:
    """A reward can be given without a claim by the referee or an order: a referrer asked for credit. So no stage is
    read from the one after it."""
    came = {
        Stage.BEGAN: True,
        Stage.CLAIMED: life.claimed_at is not None,
        Stage.CONVERTED: life.conversion is not None,
        Stage.ASSEMBLED: life.claim is not None,
        Stage.APPROVED: bool(life.rewards),
        Stage.REWARDED: life.rewarded_at is not None,
    }
    return (stage for stage, reached in came.items() if reached)


def _settlement(life: Life) -> Settlement:
    """A dispute ends for a claim when it is approved (won), when a decision names another (lost), or when the claim
    ends for another reason (lapsed)."""
    if life.status in APPROVED_OR_PAID:
        return Settlement.WON
    if life.reason in (Reason.ATTRIBUTION_LOST, Reason.DENIED_BY_DECISION):
        return Settlement.LOST
    return Settlement.LAPSED if life.closed_at is not None else Settlement.OPEN
