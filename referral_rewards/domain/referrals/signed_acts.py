"""The signed acts on a referral that its verdict follows from, beside facts and terms (SPEC §4, §6)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label


@dataclass(frozen=True, slots=True)
class Reassignment:
    """The reward belongs to this referrer, as the signed decision ``id`` and those before it say.

    ``at`` is when the last of ``users`` signed: an `attribution.changed` that we received before is answered by it.
    """

    id: UUID
    referrer: str
    users: tuple[str, ...]
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LinkedOrder:
    """The referral hears of this order, which its referee's identity does not match."""

    id: UUID
    order: str
    users: tuple[str, ...]
    reason: str
    at: datetime
    store: str | None = None

    @property
    def name(self) -> OrderName:
        """The name of the order."""
        return OrderName(self.order, self.store)

    @property
    def told(self) -> str:
        """Who linked it and why, in a sentence."""
        why = label("decision_reason", self.reason)
        return f"Order {self.name} was linked by hand by {listed(self.users)} ({why})."


@dataclass(frozen=True, slots=True)
class SignedActs:
    """What people decided about a referral's attribution: its present reassignment, and every order linked by hand."""

    reassigned: Reassignment | None = None
    links: tuple[LinkedOrder, ...] = ()

    @property
    def orders(self) -> frozenset[OrderName]:
        """The orders that were linked by hand."""
        return frozenset(link.name for link in self.links)


NO_ACTS = SignedActs()
