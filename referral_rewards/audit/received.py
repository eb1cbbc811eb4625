"""Read a fact again from the envelope in which it was received, and hold what stands on record of it against that."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from referral_rewards.audit import erased
from referral_rewards.audit.erased import Erased
from referral_rewards.audit.evidence import Received
from referral_rewards.audit.reading.told import May, Told
from referral_rewards.domain.errors import FactInvalid, SealBroken
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.identity import Marker, normal_email
from referral_rewards.domain.facts.payloads import FactType, person_of
from referral_rewards.personal import Opened

#: What begins a referral, or extends it, may leave its name to be derived.
_NAMING = (FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED)


class FactRow(NamedTuple):
    """A fact as it stands on record, with its envelope (None once its person was erased) and who told it; ``erased`` is
    what is on record of its erasing."""

    id: UUID
    source: str
    event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    data: Mapping[str, Any]
    marks: Sequence[str]
    digest: str
    envelope: Opened | SealBroken | None
    commitment: str | None
    teller: str | None
    sources: Sequence[str] | None
    types: Sequence[str] | None
    position: int
    erased: Erased | None


def received(row: FactRow, marker: Marker | None) -> Received:
    """The fact of a row, as its envelope says it. With the installation's ``marker`` its marks are made again too."""
    told = Told(
        source=row.source,
        id=row.event_id,
        type=row.type,
        at=row.occurred_at,
        data=row.data,
        marks=frozenset(row.marks),
        may=None if row.sources is None else May(frozenset(row.sources), frozenset(row.types or ())),
    )
    problems: tuple[str, ...] = ()
    if isinstance(row.envelope, SealBroken):
        problems = (f"its envelope is sealed and does not open: {row.envelope}",)
    elif row.envelope is not None:
        told, problems = _of_envelope(row, row.envelope, told, marker)
    else:
        problems = tuple(erased.problems(row.erased, row.marks))
    named = replace(told, data=_named(row.id, told))
    return Received(row.id, named, row.received_at, row.position, row.digest, row.teller, problems)


def _of_envelope(row: FactRow, envelope: Opened, told: Told, marker: Marker | None) -> tuple[Told, tuple[str, ...]]:
    try:
        event = parse_event(_envelope(row, envelope.body))
    except FactInvalid as invalid:
        return told, (f"its envelope is no fact: {invalid}",)
    event = event.of_store(row.data.get("store"))
    person = person_of(event.type, event.data) or {}
    email = person.get("email")
    domain = normal_email(email).partition("@")[2] if isinstance(email, str) else ""
    its = replace(
        told,
        data=event.public,
        marks=told.marks if marker is None else event.marks(marker),
        domains=frozenset({domain} - {""}),
    )
    return its, tuple(_problems(row, envelope.salt, event, its))


def _envelope(row: FactRow, body: Mapping[str, Any]) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": row.event_id,
        "source": row.source,
        "type": row.type,
        "time": row.occurred_at.isoformat(),
        "data": body,
    }


def _problems(row: FactRow, salt: bytes, event: Event, its: Told) -> Iterator[str]:
    if event.fact_id != row.id:
        yield f"it stands under the id {row.id}; right would be {event.id}"
    if event.public != row.data:
        yield "its public fields are not those of its envelope"
    if its.marks != frozenset(row.marks):
        yield "its marks are not those of the person in its envelope"
    commitment = hashlib.sha256(salt + event.content.encode()).hexdigest()
    if commitment != row.commitment:
        yield "its commitment does not cover its envelope"
    if _digest(row, event, commitment) != row.digest:
        yield "its digest does not cover what stands on record"


def _digest(row: FactRow, event: Event, commitment: str) -> str:
    moment = row.occurred_at.astimezone(UTC).isoformat()
    head = "\n".join((row.source, row.event_id, row.type, moment, ""))
    return hashlib.sha256(f"{head}{event.public_content}\n{commitment}".encode()).hexdigest()


def _named(fact: UUID, told: Told) -> Mapping[str, Any]:
    """Its public fields, with the name of the referral that it begins or extends where it names none."""
    if told.type not in _NAMING or told.data.get("referral"):
        return told.data
    if told.type == FactType.REWARD_REQUESTED:
        its = keys.referral_of_request(fact, told.data["program"], told.data["referrer"])
    else:
        its = keys.referral_of_claim(fact, told.data)
    return {**told.data, "referral": its}
