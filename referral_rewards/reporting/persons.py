"""All that is on record about one person, in clear, for the person who asks what we know of them."""

import base64
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.register import typed_rows
from referral_rewards.register.persons import payloads
from referral_rewards.register.persons.finding import Person
from referral_rewards.register.source_events.payloads import opened
from referral_rewards.reporting.shape import Instant, Shape


class FactKept(Shape):
    """A fact about the person: ``data`` is its public part, ``told`` all that its source told, null once erased."""

    id: UUID
    type: str
    source: str
    occurred_at: Instant
    data: dict[str, Any]
    told: dict[str, Any] | None


class TextKept(Shape):
    """A letter, a note or a handover beside the facts; ``said`` is null once erased."""

    id: UUID
    said: dict[str, Any] | None


class EventKept(Shape):
    """What a source sent, as it came: as text, or in base64 if it is none."""

    event: UUID
    source: str
    body: str
    is_base64: bool


class AffairKept(Shape):
    """A referral, reward, payout or clawback of the person's, and where it stands."""

    id: str
    state: str


class LookKept(Shape):
    """Who saw the person in clear, and when."""

    at: Instant
    by: str
    act: str


class PersonKept(Shape):
    """All that is on record about a person. ``known_by`` are their ids and the keyed hashes of their addresses and
    numbers; these stay when the rest is erased. ``left_out`` was told beside these and leads to somebody else, or may:
    if it is theirs, ask for it by name."""

    known_by: tuple[str, ...]
    left_out: tuple[str, ...]
    facts: tuple[FactKept, ...]
    letters: tuple[TextKept, ...]
    handovers: tuple[TextKept, ...]
    notes: tuple[TextKept, ...]
    sent_by_sources: tuple[EventKept, ...]
    referrals: tuple[AffairKept, ...]
    rewards: tuple[AffairKept, ...]
    payouts: tuple[AffairKept, ...]
    clawbacks: tuple[AffairKept, ...]
    looks: tuple[LookKept, ...]


async def kept(connection: AsyncConnection, person: Person) -> PersonKept:
    """Return it all. The caller records the look in the same transaction."""
    beside = {"subjects": [*person.letters, *person.handovers, *person.notes]}
    rows = await connection.execute(_TEXTS, beside)
    texts = {row.subject_id: personal.body_of(connection, row.subject_id, row.sealed) for row in rows}
    asked = {"events": sorted(await payloads.about(connection, person))}
    events = await typed_rows.read(connection, _SealedEvent, _EVENTS, asked)
    facts = [str(each.id) for each in person.facts]
    subjects = [*sorted(person.known.ids), *person.known.names, *facts, *person.referrals]
    looks = await connection.execute(_LOOKS, {"subjects": subjects})
    its = person.affairs
    return PersonKept(
        known_by=person.known.names,
        left_out=tuple(sorted(person.left_out)),
        facts=tuple(
            FactKept(
                id=each.id,
                type=each.type,
                source=each.source,
                occurred_at=each.occurred_at,
                data=dict(each.data),
                told=personal.body_of(connection, each.id, each.sealed),
            )
            for each in person.facts
        ),
        letters=_said(person.letters, texts),
        handovers=_said(person.handovers, texts),
        notes=_said(person.notes, texts),
        sent_by_sources=tuple(_event(connection, row) for row in events),
        referrals=_affairs(its.referrals),
        rewards=_affairs(its.legs),
        payouts=_affairs(its.payouts),
        clawbacks=_affairs(its.clawbacks),
        looks=tuple(LookKept(at=row.at, by=row.actor, act=row.act) for row in looks),
    )


def _said(subjects: Iterable[UUID], texts: dict[UUID, dict[str, Any] | None]) -> tuple[TextKept, ...]:
    """Of a letter that was not sent there is no text."""
    return tuple(TextKept(id=each, said=texts[each]) for each in subjects if each in texts)


def _affairs(known: Iterable[tuple[object, str]]) -> tuple[AffairKept, ...]:
    return tuple(AffairKept(id=str(name), state=state) for name, state in known)


class _SealedEvent(NamedTuple):
    id: UUID
    source: str
    sealed: bytes


def _event(connection: AsyncConnection, row: _SealedEvent) -> EventKept:
    body = opened(connection, row.id, row.sealed).body
    try:
        said, is_base64 = body.decode(), False
    except UnicodeDecodeError:
        said, is_base64 = base64.b64encode(body).decode(), True
    return EventKept(event=row.id, source=row.source, body=said, is_base64=is_base64)


_TEXTS: Final = text("SELECT subject_id, sealed FROM personal_data WHERE subject_id = ANY(CAST(:subjects AS uuid[]))")

_EVENTS: Final = text("""
SELECT e.id, e.source, p.sealed FROM source_event e JOIN source_payload p ON p.event = e.id
WHERE e.id = ANY(CAST(:events AS uuid[])) AND p.sealed IS NOT NULL ORDER BY e.received_at, e.id
""")

_LOOKS: Final = text("""
SELECT at, actor, act FROM audit_event
WHERE subject = ANY(CAST(:subjects AS text[])) AND act IN ('payee.seen', 'person.exported') ORDER BY at
""")
