"""What an outside source must be able to do: tell again, when asked, what it knows of an order or a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.referrals.inquiries import SourceAnswer


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a source is, and the token that it wants to see."""

    url: str
    token: str | None = None


class Told(NamedTuple):
    """An answer, with the facts that it is made of: they belong into the register whether told before or not."""

    answer: SourceAnswer
    facts: Sequence[Event] = ()


class Source(Protocol):
    """A billing system, a shop, a CRM. One that does not answer is *unavailable*; it never raises instead."""

    async def order(self, order: str) -> Told:
        """Every fact that the source holds about an order: its record, reversals and disputes."""
        ...

    async def customer(self, customer: str) -> Told:
        """Every fact that the source holds about a customer's issues and consents."""
        ...

    async def reachable(self) -> str | None:
        """None if the source answers; else one sentence that says why not."""
        ...
