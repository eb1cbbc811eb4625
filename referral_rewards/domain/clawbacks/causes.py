"""Which facts about a paid referral may open a clawback case by themselves; disputes do by how they stand (SPEC §7)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import Order
from referral_rewards.domain.facts.payloads import FactType, ReversalKind
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.disputes import Dispute, DisputeState, took_an_amount
from referral_rewards.domain.referrals.order_amounts import names_an_amount, read_minor
from referral_rewards.domain.referrals.reversals import kind_of


@dataclass(frozen=True, slots=True)
class Cause:
    """A fact that may open a case. ``whole``: it proposes all of the leg, of the referrer alone. ``told_before``: other
    facts may tell the same loss; then a case that proposes nothing is not opened at all. ``unread``: its amount can't
    be read in the order's currency, or it may be of another store's order, so a person has to say what it took."""

    fact: UUID
    why: str
    whole: bool = False
    told_before: bool = False
    unread: bool = False


def causes_of(
    news: Iterable[Fact],
    its_disputes: Sequence[Dispute],
    *,
    order: Order | None,
    referrer: str | None,
    paid_for: Conversion | None,
) -> tuple[Cause, ...]:
    """Return the facts among the news that may open a case by themselves; disputes do by how they stand.

    ``order`` is what was paid for, and ``paid_for`` its conversion, by all facts that are known; None if it was never
    recorded.
    """
    found = (_cause(fact, its_disputes, order, referrer, paid_for) for fact in news)
    return tuple(cause for cause in found if cause is not None)


def _cause(
    fact: Fact,
    its_disputes: Sequence[Dispute],
    order: Order | None,
    referrer: str | None,
    paid_for: Conversion | None,
) -> Cause | None:
    if fact.type is FactType.ATTRIBUTION_CHANGED and fact.data["to_referrer"] != referrer:
        return Cause(fact.id, f"the reward was asked to be moved to {fact.data['to_referrer']}", whole=True)
    if order is None:
        return None
    if fact in order.doubtful:
        return _doubtful(fact, order)
    if fact not in order.told:
        return None
    currency = paid_for.currency if paid_for else None
    if fact.type is FactType.CONVERSION_AMENDED:
        why = f"the amount of order {order.name} was amended"
        return Cause(fact.id, why, told_before=True, unread=_is_unread(fact, currency))
    if fact.type is not FactType.CONVERSION_REVERSED:
        return None
    told_before = _may_be_told_by(fact, its_disputes) or (paid_for is not None and not _counts_alone(fact, paid_for))
    why = f"the conversion of order {order.name} was reversed"
    return Cause(fact.id, why, told_before=told_before, unread=_is_unread(fact, currency))


def _doubtful(fact: Fact, order: Order) -> Cause | None:
    """Return the cause of a fact that may be about another store's order of that id; None if it takes nothing."""
    if fact.type in (FactType.CONVERSION_AMENDED, FactType.CONVERSION_REVERSED) or took_an_amount(fact):
        why = f"{label('fact', fact.type)}: of an order {order.id}, and nobody said of which store"
        return Cause(fact.id, why, unread=True)
    return None


def _may_be_told_by(reversal: Fact, its_disputes: Sequence[Dispute]) -> bool:
    """Whether a dispute tells the same loss as the reversal."""
    told_by = {each.takes for each in its_disputes} - {None}
    if any(each.state is DisputeState.REVERSED for each in its_disputes):
        told_by.add(ReversalKind.CHARGEBACK_LOST)
    return kind_of(reversal) in told_by


def _counts_alone(reversal: Fact, paid_for: Conversion) -> bool:
    """Whether the reversal counts, and no other fact tells the same one, by its id or as a copy."""
    if paid_for.conflicts:
        return False
    name = reversal.data.get("reversal")
    same = [fact for fact in paid_for.reversals if name is not None and fact.data.get("reversal") == name]
    return reversal in paid_for.reversals and len(same) < 2


def _is_unread(fact: Fact, currency: str | None) -> bool:
    return currency is not None and names_an_amount(fact) and read_minor(fact, currency) is None
