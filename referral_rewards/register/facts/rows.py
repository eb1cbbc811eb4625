"""What is stored of facts, computed from them alone: hashes, marks, keys and the parameters of the statements.

It needs no database, so any thread may do it before the transaction begins. It is most of the work of taking facts in.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.intake_warnings import FactWarning
from referral_rewards.domain.facts.keys import Filing
from referral_rewards.domain.facts.phones import Regions
from referral_rewards.domain.facts.unread_phones import unread_phone
from referral_rewards.register.facts.filed import Filed
from referral_rewards.register.locks import array

_SALT_BYTES: Final = 16


class StoredFact(NamedTuple):
    """A fact as it is stored, and where it is filed. Moments are ISO 8601, hashes and the salt are in hex."""

    event: Event
    filing: Filing
    moment: str
    marks: str
    salt: str
    commitment: str
    digest: str
    content_mac: str
    warnings: tuple[FactWarning, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Facts with all that is stored of them. ``columns`` and ``locks`` are array parameters.

    ``events`` are all that were told, in their order; of equal ones ``rows`` has the first. ``conflicts`` are the
    places of those that contradict an earlier one.
    """

    events: tuple[Event, ...]
    rows: tuple[StoredFact, ...]
    columns: Mapping[str, str]
    filed: Filed
    locks: str
    conflicts: frozenset[int]


class Preparer:
    """Prepares facts for storing, with the installation's pepper, the regions of its phone numbers, and the stores of
    its sources."""

    def __init__(self, pepper: bytes, regions: Regions | None = None, stores: Mapping[str, str] | None = None) -> None:
        self._keyed = hmac.new(pepper, digestmod=hashlib.sha256)
        self._stores = stores or {}
        self.marker = Marker(pepper, regions)

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Return these facts with all that is stored of them; safe to call from any thread."""
        unique, conflicts = _distinct([event.of_store(self._stores.get(event.source)) for event in events])
        marker, salts = self.marker.for_batch(), os.urandom(_SALT_BYTES * len(unique))
        rows = tuple(
            self._row(event, marker, salts[_SALT_BYTES * place : _SALT_BYTES * (place + 1)])
            for place, event in enumerate(unique.values())
        )
        every_key = set().union(*(row.filing.keys | row.filing.listens for row in rows))
        return Prepared(
            events=tuple(events),
            rows=rows,
            columns=_columns(rows),
            filed=filed(rows),
            locks=array(map(str, keys.locks(every_key))),
            conflicts=frozenset(conflicts),
        )

    def _row(self, event: Event, marker: Marker, salt: bytes) -> StoredFact:
        moment = event.occurred_at.isoformat()
        head = "\n".join((event.source, event.event_id, event.type, moment, ""))
        content = event.content.encode()
        commitment = hashlib.sha256(salt + content).hexdigest()
        digest = hashlib.sha256(f"{head}{event.public_content}\n{commitment}".encode()).hexdigest()
        keyed = self._keyed.copy()
        keyed.update((head + event.said).encode())
        marks = event.marks(marker)
        filing, told = keys.file(event, marks), " ".join(sorted(marks))
        warnings = self._warnings(event, marks)
        return StoredFact(event, filing, moment, told, salt.hex(), commitment, digest, keyed.hexdigest(), warnings)

    def _warnings(self, event: Event, marks: frozenset[str]) -> tuple[FactWarning, ...]:
        phone = unread_phone(event.type, event.data, marks, self.marker.region_of(event.source))
        return event.warnings if phone is None else (*event.warnings, phone)


def filed(rows: Sequence[StoredFact]) -> Filed:
    """Return what these facts say for their links."""
    return Filed.of([(row.event, row.filing) for row in rows])


def _distinct(events: Sequence[Event]) -> tuple[dict[str, Event], list[int]]:
    """Return the first event for each fact id, and the places of the events that contradict an earlier one."""
    unique: dict[str, Event] = {}
    conflicts = []
    for place, event in enumerate(events):
        first = unique.setdefault(event.id, event)
        if first is not event and not _same(first, event):
            conflicts.append(place)
    return unique, conflicts


def _same(one: Event, other: Event) -> bool:
    """Whether two facts of one (source, id) say the same."""
    return (one.type, one.occurred_at, one.said) == (other.type, other.occurred_at, other.said)


def _columns(rows: Sequence[StoredFact]) -> dict[str, str]:
    """Return the columns of the rows as array parameters. The server reads those faster than one JSON document."""
    by_key = [(key, row.event.id) for row in rows for found in (row.filing.keys, row.filing.traces) for key in found]
    by_key.sort()  # neighbours in the index
    events = [row.event for row in rows]
    return {
        "ids": array([event.id for event in events]),
        "sources": array([event.source for event in events]),
        "event_ids": array([event.event_id for event in events]),
        "types": array([event.type for event in events]),
        "moments": array([row.moment for row in rows]),
        "public": array([event.public_content for event in events]),
        "marks": array([row.marks for row in rows]),
        "digests": array([row.digest for row in rows]),
        "macs": array([row.content_mac for row in rows]),
        "commitments": array([row.commitment for row in rows]),
        "programs": array(sorted({event.public["program"] for event in events if "program" in event.public})),
        "keys": array([key for key, _ in by_key]),
        "key_facts": array([fact for _, fact in by_key]),
    }
