"""The disputes of an order: which are open, and how the others ended. A dispute has no id of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType

#: A reversal of this kind is how a lost dispute takes effect.
CHARGEBACK_LOST: Final = "chargeback_lost"


class DisputeState(StrEnum):
    """The state of a dispute. A lost one is not over until its reversal is reported."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute: the fact that opened it and, if it was reversed, the fact that took the money."""

    opened: Fact
    state: DisputeState
    reversal: Fact | None = None


def disputes(facts: Iterable[Fact], order: str | None) -> tuple[Dispute, ...]:
    """Return the disputes of the order, oldest first, whatever order their facts arrived in.

    A closing ends the earliest open dispute. A chargeback reversal belongs to the earliest dispute that was not won and
    has no reversal yet; it may be reported before, after or without the closing.
    """
    found: list[Dispute] = []
    about_it = (fact for fact in facts if fact.order is not None and fact.order == order)
    told = sorted(about_it, key=lambda fact: fact.precedence)
    for fact in told:
        if fact.type is FactType.DISPUTE_OPENED:
            found.append(Dispute(fact, DisputeState.OPEN))
        elif fact.type is FactType.DISPUTE_CLOSED:
            won = fact.data["outcome"] == "won"
            _end_first(found, DisputeState.WON if won else DisputeState.LOST)
    for fact in told:
        if fact.type is FactType.CONVERSION_REVERSED and fact.data["kind"] == CHARGEBACK_LOST:
            _reversed(found, fact)
    return tuple(found)


def _end_first(found: list[Dispute], state: DisputeState) -> None:
    for number, dispute in enumerate(found):
        if dispute.state is DisputeState.OPEN:
            found[number] = replace(dispute, state=state)
            return


def _reversed(found: list[Dispute], reversal: Fact) -> None:
    for number, dispute in enumerate(found):
        if dispute.state in (DisputeState.OPEN, DisputeState.LOST):
            found[number] = Dispute(dispute.opened, DisputeState.REVERSED, reversal)
            return
