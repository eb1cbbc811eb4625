"""The interface of an outside source: on request it reports again what it knows about an order or a customer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.rights import Teller
from referral_rewards.domain.referrals.inquiries import SourceAnswer
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URL of a source, and the token that it requires, if any."""

    url: str
    token: str | None = field(default=None, repr=False)


class Told(NamedTuple):
    """An answer and the facts behind it. All the facts are recorded, whether they were reported before or not.
    ``teller`` is who tells them, None for the source as `teller_of` names it."""

    answer: SourceAnswer
    facts: Sequence[Event] = ()
    teller: Teller | None = None


class Right(NamedTuple):
    """Something that a source has to let us read, and why it does not; None if it does."""

    what: str
    why: str | None = None


class Source(Protocol):
    """A billing system, a shop, a CRM. If it does not answer, the answer is *unavailable*; no method raises."""

    async def order(self, order: str, store: str | None = None, on_record: OnRecord = NOTHING) -> Told:
        """Return every fact that the source has about an order: its conversion, reversals and disputes. ``store`` is
        the one that gave it its id, if one is known; ``on_record`` is what our register has of it."""
        ...

    async def customer(self, customer: str) -> Told:
        """Return every fact that the source has about a customer's issues and consents."""
        ...

    async def reachable(self) -> str | None:
        """Return None if the source answers, else one sentence that says why not."""
        ...
