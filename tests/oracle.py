"""Made-up facts for the second reading (`referral_rewards.audit.reading`): CloudEvents as the populations make them.

The reading compares marks. Here they are made with a pepper of the tests' own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from referral_rewards.audit.reading import arithmetic, periods
from referral_rewards.audit.reading.told import May, Told
from referral_rewards.domain.facts.identity import Marker, normal_email

Event = Mapping[str, Any]
Terms = Mapping[str, Any]

CLOSED: Final = periods.CLOSED
end, length = arithmetic.end, arithmetic.length

_MARKER: Final = Marker(b"a pepper for tests only")
#: Where each type names the person whom it is about.
_PERSON: Final = {
    "referral.sent": "referee",
    "referral.claimed": "referee",
    "reward.requested": "referee",
    "conversion.recorded": "customer",
    "customer.issue_opened": "customer",
    "customer.issue_resolved": "customer",
    "consent.granted": "person",
    "consent.withdrawn": "person",
}


#: Each event that was read, by its identity: a population is read at thousands of instants.
_READ: Final[dict[int, tuple[Event, Told]]] = {}


def told(event: Event) -> Told:
    """The fact of an event."""
    if id(event) not in _READ:
        _READ[id(event)] = event, _told(event)
    return _READ[id(event)][1]


def _told(event: Event) -> Told:
    data, may = event["data"], event.get("may")
    person = data if event["type"] == "referrer.enrolled" else data.get(_PERSON.get(event["type"], ""), {})
    beside = {part: data.get(part) for part in ("payment_fingerprint", "ip", "device")}
    return Told(
        source=event["source"],
        id=event["id"],
        type=event["type"],
        at=at(event),
        data=data,
        marks=_MARKER.marks(person, beside if "customer" in data else None) | _MARKER.aliases(person),
        may=None if may is None else May(frozenset(may["sources"]), frozenset(may["types"])),
        domains=frozenset({normal_email(person["email"]).partition("@")[2]} if person.get("email") else ()),
    )


def all_told(events: Sequence[Event]) -> list[Told]:
    """The facts of these events."""
    return [told(event) for event in events]


def verdict(events: Sequence[Event], terms: Terms, referral: str, now: datetime) -> dict[str, Any] | None:
    """``status``, ``reason``, ``deadline``, ``order`` and ``net_minor`` of the referral at ``now``; None while nothing
    has begun it."""
    stand = periods.verdict(all_told(events), terms, referral, now)
    if stand is None:
        return None
    return {name: getattr(stand, name) for name in ("status", "reason", "deadline", "order", "net_minor")}


def concerning(events: Sequence[Event], referral: str) -> list[Event]:
    """The events that can matter to the referral at any time."""
    of_fact = {told(event): event for event in events}
    return [of_fact[fact] for fact in periods.concerning(of_fact, referral)]


def at(event: Event) -> datetime:
    """When it occurred, in UTC."""
    return datetime.fromisoformat(event["time"]).astimezone(UTC)
