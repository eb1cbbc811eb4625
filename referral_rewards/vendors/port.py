"""The interface of a vendor: a system of others that tells of orders in its own words (SPEC §11, Sources).

A vendor translates and decides nothing. All here is pure: no database, no clock, no network. A delivery is verified,
parted into its events, each event is kept as it came, and then read. What was kept can be read again at any time, so
`read` depends on the event and the mapping alone.

- A fact's id derives from the vendor's *object* and what is said of it, never from the event or its order: two events
  that say the same make one fact, in whatever order they come. For the same reason a fact's time is the object's.
- Where an event does not name the order that it is about, the reading says which name of the vendor's it is ``of``,
  and another event ``links`` that name to an order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.vendors.paths import Path

#: A stamp may be this old, or this far ahead of our clock.
TOLERANCE_SECONDS: Final = 300


class Told(NamedTuple):
    """A request, or one event of it. Names of headers are in lower case; ``url`` is the one that the vendor called."""

    body: bytes
    headers: Mapping[str, str] = {}
    url: str = ""
    method: str = "POST"


class Unreadable(Exception):
    """An event that is authentic and can't be read: where, what is there, and what would be right.

    It is kept and stands before a person. The message names no value that could be personal. ``event_id`` and
    ``event_type`` are those of the event, as far as they are known.
    """

    def __init__(self, where: str, what: str, right: str) -> None:
        self.where, self.what, self.right = where, what, right
        self.event_id, self.event_type = "", ""
        super().__init__(f"{where}: {what}; {right}" if where else f"{what}; {right}")

    def of(self, event_id: str, event_type: str) -> "Unreadable":
        """Return it with the id and type of the event."""
        self.event_id, self.event_type = event_id, event_type
        return self


class Field(StrEnum):
    """What a mapping can say where to find in an event."""

    REFERRAL = "referral"
    PROGRAM = "program"
    REFERRER = "referrer"
    CODE = "code"
    ORDER = "order"
    STORE = "store"
    KIND = "kind"
    CUSTOMER = "customer"
    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    COUNTRY = "country"
    NEW_CUSTOMER = "new_customer"
    COUPON = "coupon"
    FINGERPRINT = "payment_fingerprint"
    IP = "ip"
    AMOUNT = "amount"
    AMOUNT_MINOR = "amount_minor"
    CURRENCY = "currency"
    REVERSAL = "reversal"
    DISPUTE = "dispute"
    OUTCOME = "outcome"
    TIME = "time"


class Mode(StrEnum):
    """Of which world of the vendor's events are taken."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """How one source is read. A path is a JMESPath over the object that the vendor's page names; without one of the
    company's own, the vendor's usual place counts.

    ``source`` is the source of the facts made. ``kinds`` are kinds of conversions by the vendor's words for what was
    bought; the vendor's page says which. ``accounts`` are the vendor's accounts, shops or portals whose events are
    taken; its page says which are without any. ``header`` is the one that holds the signature, where the vendor leaves
    that open. ``events`` are types of facts by the vendor's types of events, where it has no events of its own.
    """

    source: str
    program: str | None = None
    store: str | None = None
    mode: Mode = Mode.LIVE
    accounts: frozenset[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[Field, Path] = field(default_factory=dict)
    header: str | None = None
    events: Mapping[str, FactType] = field(default_factory=dict)

    def find(self, what: Field, within: Any, usual: Any = None) -> Any:
        """Return what stands at the company's path for it, else what stands in the usual place."""
        path = self.paths.get(what)
        if path is None:
            return usual
        try:
            found = path.find(within)
        except ValueError as error:
            raise Unreadable(what, str(error), "mend the path of this source") from None
        return usual if found is None else found

    def text(self, what: Field, within: Any, usual: Any = None) -> str | None:
        """Return the same as text without spaces around; None if there is none. Whole numbers are ids too.

        Raises:
            Unreadable: if it is neither a text nor a whole number.
        """
        found = self.find(what, within, usual)
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if found is not None and not isinstance(found, str):
            raise Unreadable(what, "is no text", "map a path that leads to a text or a whole number")
        return (found or "").strip() or None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one event says. One with neither facts nor links says in ``ignored`` why nothing is made of it.

    ``event_id`` is the vendor's, the same however often it is delivered. ``facts`` are events in our own envelope
    (`envelope.py`).

    ``of`` is a name of the vendor's, as of a payment, for the order that the event is about. Facts that have no order
    in their data are told at once with this name as their order, and once more under the order that the name is linked
    to, if that is another: what takes something back never waits. Facts that have one are held until the name is
    linked. So is an event that says nothing else: it waits for another one, and a person hears of it if none comes.

    ``links``: names of the vendor's with the order that each is of; None for the order of ``of``, once it is known.

    ``once``: facts that are told only while no event has linked the name ``mark``. An object that was asked for shows
    its present state, and so not how it was when an event told of it.
    """

    event_id: str
    event_type: str
    at: datetime | None = None
    facts: tuple[Mapping[str, Any], ...] = ()
    ignored: str | None = None
    of: str | None = None
    links: Mapping[str, OrderName | None] = field(default_factory=dict)
    once: tuple[Mapping[str, Any], ...] = ()
    mark: str | None = None


class Vendor(Protocol):
    """One vendor. An object of it holds nothing of an installation: what is configured comes with each call."""

    #: As a source's configuration names it.
    name: str
    #: The names, or the beginnings of names, of those headers that `read` needs: they are kept beside the body.
    headers: Sequence[str]

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """Return if one of the secrets signed the unchanged body of the request a short time ago.

        Every secret is compared, in constant time. A stamp too old and one too far ahead are refused.

        Raises:
            NotGenuine: says what is wrong, without the secret or the right signature.
        """
        ...

    def events(self, request: Told) -> Sequence[Told]:
        """Return the events of an authentic request, most often just that one.

        Raises:
            Unreadable: if they can't be told apart.
        """
        ...

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        """Return what one event says.

        Raises:
            Unreadable: if it lacks what an event of its type must have.
        """
        ...
