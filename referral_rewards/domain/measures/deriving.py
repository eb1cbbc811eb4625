"""Derive what the measures read of a referral from the register: its row, its facts, its claims and its rewards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.measures.expecting import expected
from referral_rewards.domain.measures.life import Claim, Conversion, Life, Money, Rating, Reward
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.case import acts_of
from referral_rewards.domain.referrals.conversions import Conversion as Order
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus, Side
from referral_rewards.domain.referrals.origin import referee_identity
from referral_rewards.domain.referrals.referral import Referral

#: Its conversion qualifies, and its claim is not assembled yet.
_BEFORE_CLAIM: Final = frozenset({ReferralStatus.IN_RETURN_PERIOD, ReferralStatus.IN_REVIEW})


class Assembled(NamedTuple):
    """One assembly of the claim: when, its flags, and what its legs came to."""

    at: datetime
    flags: tuple[Flag, ...]
    legs: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What the register holds of a referral that was judged. ``assembled`` is in the order of time; ``denied_at`` is
    when a decision was signed that denied it; ``asked`` is when its referrer was asked how satisfied they are."""

    row: Referral
    facts: Sequence[Fact]
    terms: Terms
    assembled: Sequence[Assembled] = ()
    rewards: Sequence[Reward] = ()
    denied_at: datetime | None = None
    asked: Sequence[datetime] = ()


def life_of(record: Record, now: datetime) -> Life:
    """Return what the measures read of a referral, on the facts that occurred by ``now``.

    Its conversion is the one that its row names; of one that closed because its conversion was reversed, that one.
    """
    row = record.row
    assert row.status is not None, "only what was judged is measured"
    facts = [fact for fact in record.facts if fact.occurred_at <= now]
    known = conversions(facts, referee_identity(facts, now), record.terms, acts_of(row).orders)
    order = _the_conversion(record, known, facts, now)
    return Life(
        referral=row.id,
        status=row.status,
        began_at=row.began_at,
        reason=Reason(row.reason) if row.reason else None,
        claimed_at=row.claimed_at,
        conversion=_worth(order) if order else None,
        orders=tuple(_worth(each) for each in _from(known, order)),
        due_at=record.terms.end(order.occurred_at, record.terms.periods.return_) if order else None,
        claim=_claim(record.assembled),
        decided_at=_decided_at(record),
        closed_at=row.closed_at,
        rewards=tuple(record.rewards),
        rewarded_at=row.rewarded_at,
        asked=tuple(record.asked),
        ratings=_ratings(facts),
        expected=expected(row, record.terms, order, facts, now) if order and row.status in _BEFORE_CLAIM else None,
    )


def denied_by(row: Referral, denials: Sequence[datetime]) -> datetime | None:
    """Return when the decision was signed that denied a referral; None if none did.

    A denial of a referral that is closed already answers an appeal: it came after the one that closed it.
    """
    if row.reason != Reason.DENIED_BY_DECISION or row.closed_at is None:
        return None
    return max((at for at in denials if at <= row.closed_at), default=None)


def _the_conversion(record: Record, known: Sequence[Order], facts: Sequence[Fact], now: datetime) -> Order | None:
    name = record.row.order or _reversed(record, facts, now)
    return next((each for each in known if each.name == name), None)


def _from(known: Sequence[Order], order: Order | None) -> Sequence[Order]:
    """Return an order and those of the same person after it, in the order of time."""
    return known[known.index(order) :] if order is not None else ()


def _reversed(record: Record, facts: Sequence[Fact], now: datetime) -> OrderName | None:
    """Return the order that would have qualified by the largest amount that it had."""
    if record.row.reason != Reason.CONVERSION_REVERSED:
        return None
    lost = periods.taken_back(facts, record.terms, now, linked=acts_of(record.row).orders)
    return None if lost is None else lost.name


def _worth(order: Order) -> Conversion:
    return Conversion(order.occurred_at, _money(order, order.gross_minor), _money(order, order.net_minor))


def _money(order: Order, minor: int | None) -> Money | None:
    return None if minor is None or order.currency is None else Money(order.currency, minor)


def _claim(assembled: Sequence[Assembled]) -> Claim | None:
    if not assembled:
        return None
    flagged: dict[Flag, datetime] = {}
    for each in assembled:
        for flag in each.flags:
            flagged.setdefault(flag, each.at)
    duplicates = (each.legs for each in assembled if Flag.DUPLICATE_CLAIM in each.flags)
    return Claim(assembled[0].at, flagged, next(duplicates, ()), assembled[-1].legs)


def _decided_at(record: Record) -> datetime | None:
    if record.rewards:
        return min(reward.decided_at for reward in record.rewards)
    return record.denied_at


def _ratings(facts: Sequence[Fact]) -> tuple[Rating, ...]:
    """The referrer's answer: their latest, as each person has one. The referee's is not measured."""
    answers = [
        fact for fact in facts if fact.type is FactType.SATISFACTION_RATED and fact.data.get("by") != Side.REFEREE
    ]
    latest = max(answers, key=lambda each: each.precedence, default=None)
    return (Rating(latest.occurred_at, latest.data["score"]),) if latest else ()
