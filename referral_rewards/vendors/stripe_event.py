"""One event of Stripe, with what its readers share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Field, Reading, SourceMapping


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """An event by its id and type. ``object`` is the state of the object that it is about, as of the event."""

    id: str
    type: str
    at: datetime
    object: Any
    mapping: SourceMapping

    @property
    def stamp(self) -> int:
        """Its second. It tells apart two changes of an object that keeps no time of its changes."""
        return int(self.at.timestamp())

    def fact(self, name: str, fact_type: FactType, at: datetime, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a fact of this source."""
        return fact(self.mapping.source, name, fact_type, at, data)

    def ignored(self, why: str) -> Reading:
        """Return that nothing is made of it."""
        return Reading(self.id, self.type, self.at, ignored=why)

    def reading(
        self,
        *facts: Mapping[str, Any],
        of: str | None = None,
        links: Mapping[str, OrderName | None] | None = None,
    ) -> Reading:
        """Return what it says."""
        return Reading(self.id, self.type, self.at, facts, of=of, links=links or {})

    def order(self, usual: str) -> OrderName:
        """Return the order that its object names, by the company's mapping, else ``usual``."""
        order = self.mapping.text(Field.ORDER, self.object, usual)
        return OrderName(order or usual, self.mapping.text(Field.STORE, self.object, self.mapping.store))
