"""Find what sources sent about a person: by the facts that were made of it, or by what it says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.facts.payloads import FactType, person_of
from referral_rewards.register.persons.finding import FactOfPerson, Person
from referral_rewards.register.source_events import payloads

#: What identifies a person in a text of a vendor's. A name is shared by many.
_TELLTALE: Final = ("email", "phone")
#: Shorter ones stand by chance in what has nothing to do with them.
_LENGTH_MIN: Final = 6


async def about(connection: AsyncConnection, person: Person) -> frozenset[UUID]:
    """Return the events that are about a person, of those that can still be read."""
    facts = [str(each.id) for each in person.facts]
    events = set((await connection.execute(_MADE_OF, {"facts": facts})).scalars())
    # A text that names what leads to somebody else tells words of theirs.
    own = [fact for fact in person.facts if person.left_out.isdisjoint(fact.marks)]
    words = {each.lower() for fact in own for each in _words(connection, fact)}
    if words:
        after = UUID(int=0)
        while rows := (await connection.execute(_WITHOUT_FACTS, {"after": after})).all():
            after = rows[-1].event
            for row in rows:
                said = plain(payloads.opened(connection, row.event, row.sealed).body)
                if any(word in said for word in words):
                    events.add(row.event)
    return frozenset(events)


def plain(body: bytes) -> str:
    """Return what a body says in lower case, however its sender wrote it: as it came, and without the escapes of JSON
    (``\\u002b`` for the plus of an address, as some always write it) and of forms (``%40``)."""
    came = body.decode(errors="replace")
    try:
        read = json.dumps(json.loads(body), ensure_ascii=False)
    except (ValueError, RecursionError):
        read = unquote_plus(came)
    return f"{came}\n{read}".lower()


def _words(connection: AsyncConnection, fact: FactOfPerson) -> Iterator[str]:
    body = personal.body_of(connection, fact.id, fact.sealed)
    who: Mapping[str, Any] = (person_of(FactType(fact.type), body) or {}) if body is not None else {}
    for field in _TELLTALE:
        said = who.get(field)
        if isinstance(said, str) and len(said.strip()) >= _LENGTH_MIN:
            yield said.strip()


_MADE_OF: Final = text("SELECT event FROM source_reading WHERE facts ?| CAST(:facts AS text[])")

_WITHOUT_FACTS: Final = text("""
SELECT p.event, p.sealed FROM source_payload p JOIN source_reading r ON r.event = p.event
WHERE p.event > CAST(:after AS uuid) AND p.sealed IS NOT NULL AND r.facts = '[]' ORDER BY p.event LIMIT 500
""")
