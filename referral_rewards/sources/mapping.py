"""Where a system of others keeps what we ask about, and what its words mean: a company writes this in its settings.

The paths are JMESPath into the system's own JSON (docs/guides/sources.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from referral_rewards.sources.asking import Unusable
from referral_rewards.vendors.paths import Path


class State(StrEnum):
    """What a system's word for the state of an order or an account means."""

    STANDS = "stands"
    REVERSED = "reversed"
    DISPUTED = "disputed"
    ACCOUNT_CLOSED = "account_closed"
    SUBSCRIPTION_ENDED = "subscription_ended"

    @property
    def is_an_end(self) -> bool:
        """Whether it ended for the future what the order began."""
        return self in (State.ACCOUNT_CLOSED, State.SUBSCRIPTION_ENDED)


class Value(StrEnum):
    """What a mapping says where to find."""

    ORDER = "order"
    KIND = "kind"
    AMOUNT = "amount"
    CURRENCY = "currency"
    TAKEN_BACK = "taken_back"
    TIME = "time"
    STATE = "state"
    CHANGED_AT = "changed_at"
    NEW_CUSTOMER = "new_customer"
    CUSTOMER = "customer"
    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    ID = "id"
    RESOLVED_AT = "resolved_at"


#: A conversion is a person's by any of these.
OF_A_PERSON = (Value.CUSTOMER, Value.EMAIL, Value.PHONE, Value.NAME)


@dataclass(frozen=True, slots=True)
class Items:
    """A list within an answer, and where the values of each item stand: refunds of an order, issues of a customer."""

    path: Path
    values: Mapping[Value, Path]


@dataclass(frozen=True, slots=True)
class Part:
    """What one request answers. ``url`` is a template; ``path`` leads to the object in the answer, None if the answer
    is the object. ``states`` are the meanings of its words. Amounts are decimals, or in ``minor_units``."""

    url: str
    values: Mapping[Value, Path] = field(default_factory=dict)
    path: Path | None = None
    states: Mapping[str, State] = field(default_factory=dict)
    items: Items | None = None
    minor_units: bool = False

    def object_in(self, document: Any) -> Mapping[str, Any] | None:
        """Return the object in an answer; None if it holds none.

        Raises:
            Unusable: if something else stands in its place.
        """
        found = document if self.path is None else find(self.path, document)
        if found is not None and not isinstance(found, Mapping):
            raise Unusable("Its answer is not of the form that the mapping says: no object stands there.")
        return found or None


@dataclass(frozen=True, slots=True)
class MappedEndpoint:
    """A system that answers in its own words. ``source`` is the source of the facts made of its answers; ``headers``
    come with every request and hold its key; ``check`` is asked to see whether the system is there."""

    source: str
    check: str
    headers: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    order: Part | None = None
    account: Part | None = None
    customer: Part | None = None


def find(path: Path, within: Any) -> Any:
    """Return what stands at a path, None if nothing does.

    Raises:
        Unusable: if the path can't be applied.
    """
    try:
        return path.find(within)
    except ValueError as error:
        raise Unusable(f"Of its answer {error}.") from None
