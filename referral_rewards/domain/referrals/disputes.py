"""The disputes of an order: which are open, how the others ended, and what they and the reversals took (SPEC §3).

One table of outcomes serves both readers: the net amount of a conversion before a payment, and the clawback cases after
it. A system may tell a lost dispute by its closing, by a reversal, or by both: that is one loss.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import DisputeOutcome, FactType, ReversalKind
from referral_rewards.domain.facts.restoring import Doubt, may_undo
from referral_rewards.domain.referrals.order_amounts import in_words, names_an_amount, read_minor, unread
from referral_rewards.domain.referrals.reversals import Reversal, reversals

_O = DisputeOutcome

#: What each outcome took: nothing, or an amount that reversals of this kind may tell as well.
TAKES: Final[Mapping[DisputeOutcome, ReversalKind | None]] = {
    _O.LOST: ReversalKind.CHARGEBACK_LOST,
    _O.REFUNDED: ReversalKind.REFUND,
    _O.PREVENTED: ReversalKind.REFUND,
    _O.INQUIRY_CLOSED: None,
    _O.WON: None,
}
#: Of several closings of one dispute the first of these stands: the one against us.
_STRONGEST_FIRST: Final = tuple(TAKES)
_TOLD_TWICE: Final = (ReversalKind.CHARGEBACK_LOST, ReversalKind.REFUND)


class DisputeState(StrEnum):
    """The state of a dispute."""

    OPEN = "open"
    NOTHING_TAKEN = "nothing_taken"
    TAKEN = "taken"
    REVERSED = "reversed"  # a reversal tells that it was lost; its closing is not told yet


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute: the facts that opened and closed it; neither must have been told. ``reversed``: no closing was told,
    but a reversal tells that it was lost. ``doubts`` are closings without effect: nothing was taken, says somebody who
    may not tell its openings."""

    openings: tuple[Fact, ...]
    closings: tuple[Fact, ...] = ()
    reversed: bool = False
    doubts: tuple[Doubt, ...] = ()

    @property
    def facts(self) -> tuple[Fact, ...]:
        return (*self.openings, *self.closings, *(each.fact for each in self.doubts))

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Sentences about closings without effect, unless it is known from others that nothing was taken."""
        over = self.state is DisputeState.NOTHING_TAKEN
        return () if over else tuple(each.sentence for each in self.doubts)

    @property
    def state(self) -> DisputeState:
        if not self.closings:
            return DisputeState.REVERSED if self.reversed else DisputeState.OPEN
        return DisputeState.NOTHING_TAKEN if self.takes is None else DisputeState.TAKEN

    @property
    def closing(self) -> Fact | None:
        """The closing that stands: of several the one against us."""
        return min(self.closings, key=lambda fact: _STRONGEST_FIRST.index(_outcome(fact)), default=None)

    @property
    def outcome(self) -> DisputeOutcome | None:
        return None if self.closing is None else _outcome(self.closing)

    @property
    def takes(self) -> ReversalKind | None:
        """The kind of reversal that tells the same loss; None if nothing was taken, or it is open."""
        return None if self.outcome is None else TAKES[self.outcome]

    @property
    def is_told_differently(self) -> bool:
        """Whether its closings contradict each other: about what was taken, or about how much."""
        kinds = {TAKES[_outcome(fact)] for fact in self.closings}
        amounts = {(Decimal(fact.data["amount"]), fact.data.get("currency")) for fact in _naming(self.closings)}
        return len(kinds) > 1 or (kinds != {None} and len(amounts) > 1)

    def amount_minor(self, currency: str) -> int | None:
        """Return the amount that the standing outcome's closings name, else its openings; None if none does.

        An amount that can't be read in the order's currency takes nothing.
        """
        standing = [fact for fact in self.closings if _outcome(fact) is self.outcome]
        named = _naming(standing) or _naming(self.openings)
        if not named:
            return None
        return max((minor for fact in named if (minor := read_minor(fact, currency)) is not None), default=0)

    def unread(self, currency: str) -> list[str]:
        """Return sentences about its amounts that can't be read, unless it took nothing."""
        standing = (*self.openings, *self.closings)
        facts = [] if self.state is DisputeState.NOTHING_TAKEN else _naming(standing)
        return [
            unread(fact, currency, "takes nothing by itself") for fact in facts if read_minor(fact, currency) is None
        ]


@dataclass(frozen=True, slots=True)
class Loss:
    """What reversals and disputes took of an order, in minor units; ``conflicts`` are sentences about what differs."""

    taken_minor: int
    conflicts: tuple[str, ...] = ()


def took_an_amount(fact: Fact) -> bool:
    """Return whether a fact is the closing of a dispute that took an amount."""
    return fact.type is FactType.DISPUTE_CLOSED and TAKES[_outcome(fact)] is not None


def disputes(about_it: Iterable[Fact], reversed_: Sequence[Reversal] | None = None) -> tuple[Dispute, ...]:
    """Return the disputes of one order, oldest first, whatever order the facts ``about_it`` arrived in.

    ``reversed_`` are the order's reversals that count; None if they have to be read from the facts.

    A closing belongs to the dispute of its id. Without an id it ends the earliest open one; if an id stands in no
    opening, the earliest open one without an id. A closing that finds none open repeats the one that ended last; before
    any it is a dispute of its own. A chargeback that was reversed and not closed ends the earliest open one.
    """
    about_it = list(about_it)
    told = sorted((fact for fact in about_it if fact.type in _OF_DISPUTES), key=_openings_first)
    found = _paired(told)
    lost = sum(each.takes is ReversalKind.CHARGEBACK_LOST for each in found)
    counted = reversals(about_it, None).counted if reversed_ is None else reversed_
    surplus = sum(each.kind is ReversalKind.CHARGEBACK_LOST for each in counted) - lost
    for number, each in enumerate(found):
        if surplus > 0 and each.state is DisputeState.OPEN:
            found[number] = replace(each, reversed=True)
            surplus -= 1
    return tuple(found)


def loss(reversed_: Sequence[Reversal], found: Sequence[Dispute], gross_minor: int, currency: str) -> Loss:
    """Return what was taken of an order of ``gross_minor``. ``reversed_`` are the reversals that count.

    What a dispute took and what reversals of its kind took is one loss: the larger sum counts. All other reversals add
    up. May be more than the order's amount.
    """
    taken_minor = sum(each.amount_minor for each in reversed_ if each.kind not in _TOLD_TWICE)
    conflicts = [_differing_closings(each) for each in found if each.is_told_differently]
    conflicts += [sentence for each in found for sentence in each.unread(currency)]
    for kind in _TOLD_TWICE:
        told = [each.amount_minor for each in reversed_ if each.kind is kind]
        else_minor = sum(told) if told and kind is ReversalKind.REFUND else gross_minor
        named = [each.amount_minor(currency) for each in found if each.takes is kind]
        closed = [else_minor if amount is None else amount for amount in named]
        taken_minor += max(sum(told), sum(closed))
        if told and closed and sum(told) != sum(closed):
            conflicts.append(_differing_sums(kind, sum(told), sum(closed), currency))
    return Loss(taken_minor, tuple(conflicts))


@dataclass(slots=True)
class _Found:
    """A dispute while its facts are put together; ``awaited`` are all openings of its id, also those dated later."""

    awaited: Sequence[Fact] = ()
    openings: list[Fact] = field(default_factory=list)
    closings: list[Fact] = field(default_factory=list)
    named: bool = False

    @property
    def is_open(self) -> bool:
        return bool(self.openings) and all(map(self.is_doubted, self.closings))

    def is_doubted(self, closing: Fact) -> bool:
        """Whether a closing says that nothing was taken, of somebody who may not tell the openings."""
        restores = TAKES[_outcome(closing)] is None
        return restores and not all(may_undo(closing, opening) for opening in (*self.awaited, *self.openings))

    def whole(self) -> Dispute:
        closings = [fact for fact in self.closings if not self.is_doubted(fact)]
        doubted = [fact for fact in self.closings if self.is_doubted(fact)]
        return Dispute(tuple(self.openings), tuple(closings), doubts=tuple(map(self._doubt, doubted)))

    def _doubt(self, closing: Fact) -> Doubt:
        return Doubt(closing, tuple(each for each in self.openings if not may_undo(closing, each)))


def _paired(told: Sequence[Fact]) -> list[Dispute]:
    opened = _openings_by_id(told)
    found: list[_Found] = []
    of_id: dict[str, _Found] = {}
    ended: _Found | None = None
    for fact in told:
        name = fact.data.get("dispute")
        its = of_id.get(name) if name is not None else None
        if its is None and fact.type is FactType.DISPUTE_CLOSED:
            still_open = [each for each in found if each.is_open and (name is None or not each.named)]
            # The opening of that id is dated later: the closing waits for it.
            its = None if name in opened else next(iter(still_open), ended if name is None else None)
        if its is None:
            its = _Found(() if name is None else opened.get(name, ()), named=name is not None)
            found.append(its)
        if name is not None:
            of_id[name] = its
        if fact.type is FactType.DISPUTE_OPENED:
            its.openings.append(fact)
        else:
            its.closings.append(fact)
            ended = ended if its.is_doubted(fact) else its
    return [each.whole() for each in found]


def _openings_by_id(told: Sequence[Fact]) -> dict[str, list[Fact]]:
    openings: dict[str, list[Fact]] = {}
    for fact in told:
        if fact.type is FactType.DISPUTE_OPENED and (name := fact.data.get("dispute")) is not None:
            openings.setdefault(name, []).append(fact)
    return openings


_OF_DISPUTES: Final = frozenset({FactType.DISPUTE_OPENED, FactType.DISPUTE_CLOSED})


def _openings_first(fact: Fact) -> tuple[datetime, bool, str, str]:
    """The sort key of a dispute's facts: of one instant its opening comes before its closing."""
    return (fact.occurred_at, fact.type is FactType.DISPUTE_CLOSED, fact.source, fact.event_id)


def _outcome(closing: Fact) -> DisputeOutcome:
    return DisputeOutcome(closing.data["outcome"])


def _naming(facts: Iterable[Fact]) -> list[Fact]:
    return [fact for fact in facts if names_an_amount(fact)]


def _differing_closings(its: Dispute) -> str:
    said = "; ".join(f"{fact.source} says {_words(fact)}" for fact in its.closings)
    return f"The closings of one dispute differ: {said}. The one against us stands"


def _words(closing: Fact) -> str:
    amount = f", {in_words(closing)}" if names_an_amount(closing) else ""
    return f"{_outcome(closing).replace('_', ' ')}{amount}"


def _differing_sums(kind: ReversalKind, told_minor: int, closed_minor: int, currency: str) -> str:
    reversals, closings = (money.display(each, currency) for each in (told_minor, closed_minor))
    what = "lost disputes" if kind is ReversalKind.CHARGEBACK_LOST else "refunds"
    return f"Of {what} the reversals tell {reversals} and the closings {closings}: the larger counts"
