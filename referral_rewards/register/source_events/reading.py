"""Read the events of a source: those of a request, of a page that was asked for, or kept ones again."""

import hashlib

from referral_rewards.domain.facts.ids import event_id_problem
from referral_rewards.register.source_events import keeping
from referral_rewards.register.source_events.keeping import Kept
from referral_rewards.register.source_events.stored import StoredEvent
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import Told, Unreadable
from referral_rewards.vendors.telling import check


def events_of(source: ConnectedSource, request: Told) -> tuple[Kept, ...]:
    """Return the events of an authentic request, each read if it can be."""
    try:
        parted = source.events(request)
    except Unreadable as error:
        return (keeping.unread(source, request, error, _digest(request)),)
    return tuple(read(source, each) for each in parted)


def read(source: ConnectedSource, told: Told) -> Kept:
    """Return one event with what it says, or why it can't be read."""
    try:
        reading = source.read(told)
        check(reading)
    except Unreadable as error:
        named = event_id_problem(error.event_id) is None
        return keeping.unread(source, told, error, error.event_id if named else _digest(told))
    kind = keeping.shown(reading.event_type)
    return Kept(keeping.event_number(source.name, reading.event_id), reading.event_id, kind, reading.at, told, reading)


def again(source: ConnectedSource, event: StoredEvent) -> Kept:
    """Return a kept event, read by the present mapping. It keeps its name, also where it has another one by now."""
    fresh = read(source, event.told)
    return Kept(event.id, event.event_id, fresh.type, fresh.at, event.told, fresh.reading, fresh.why)


def _digest(told: Told) -> str:
    """Return a name for an event that has none that can be read: the same for the same bytes."""
    said = "\n".join(f"{name}: {value}" for name, value in sorted(told.headers.items()) if name.startswith("ce-"))
    return f"sha256:{hashlib.sha256(said.encode() + told.body).hexdigest()}"
