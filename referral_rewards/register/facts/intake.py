"""Record facts, link them to referrals and store the wake-ups, in one transaction (SPEC §3).

Everything works on lists, so that a file of a hundred thousand lines costs a few statements per batch.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.register.facts.linking import link
from referral_rewards.register.locks import Lock, array, dump, lock_shared
from referral_rewards.register.payees import tax_holds

__all__ = ["Intake", "Prepared", "Recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result for a list of facts: how many are new or repeated, which conflict, and which referrals they touch."""

    new: int
    repeated: int
    conflicts: tuple[Event, ...]
    touched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Facts with everything that can be computed without the database: half of the work, done in any thread."""

    size: int
    rows: "tuple[_Row, ...]"
    document: str
    locks: str
    conflicts: tuple[Event, ...]


class Intake:
    """Records facts with the installation's pepper, in the caller's transaction."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        self.marker = Marker(pepper)

    def key_for(self, purpose: str) -> bytes:
        """Derive from the pepper a key for one purpose; it reveals nothing about the others."""
        return hmac.digest(self._pepper, f"key for {purpose}".encode(), "sha256")

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Compute everything for recording these facts that needs no database; safe to call from any thread."""
        unique, conflicts = self._distinct(events)
        rows = tuple(self._row(event) for event in unique.values())
        every_key = {key for row in rows for key in (*row.filing.keys, *row.filing.listens)}
        return Prepared(
            size=len(events),
            rows=rows,
            document=f"[{','.join(map(_as_json, rows))}]",
            locks=array(map(str, keys.locks(every_key))),
            conflicts=tuple(conflicts),
        )

    async def record(
        self,
        connection: AsyncConnection,
        events: Sequence[Event] | Prepared,
        *,
        received_at: datetime,
        batch: UUID | None = None,
    ) -> Recorded:
        """Store the new facts among ``events`` and wake the referrals that they concern.

        A fact whose (source, id) is already recorded changes nothing. If its payload differs, it is returned as a
        conflict. With a ``batch`` the wake-ups are held back until that batch is finished.
        """
        told = events if isinstance(events, Prepared) else self.prepare(events)
        await lock_shared(connection, Lock.PROGRAMS)
        await connection.execute(_TAKE_LOCKS, {"space": Lock.FACTS, "locks": told.locks})

        stored = await connection.execute(
            _INSERT_FACTS, {"rows": told.document, "received_at": received_at, "batch": batch}
        )
        fresh_ids = set(stored.scalars())
        fresh = [row for row in told.rows if row.event.fact_id in fresh_ids]
        known = [row for row in told.rows if row.event.fact_id not in fresh_ids]
        conflicts = (*told.conflicts, *await _conflicting(connection, known))
        touched = await link(connection, [(row.event, row.filing) for row in fresh], batch) if fresh else set()
        if filed := {row.event.public["payee"] for row in fresh if row.event.type is FactType.TAX_FORM_FILED}:
            touched |= await tax_holds.wake(connection, filed, batch)
        return Recorded(len(fresh), told.size - len(fresh) - len(conflicts), conflicts, tuple(touched))

    def _distinct(self, events: Sequence[Event]) -> tuple[dict[UUID, Event], list[Event]]:
        """Return the first event for each fact id, and the events that contradict an earlier one in this list."""
        unique: dict[UUID, Event] = {}
        conflicts = []
        for event in events:
            first = unique.setdefault(event.fact_id, event)
            if first is not event and _content(first) != _content(event):
                conflicts.append(event)
        return unique, conflicts

    def _row(self, event: Event) -> "_Row":
        marks = event.marks(self.marker)
        salt = os.urandom(16)
        commitment = hashlib.sha256(salt + event.content.encode()).hexdigest()
        public = _canonical_public(event)
        return _Row(
            event=event,
            marks=marks,
            filing=keys.file(event, marks),
            public=public,
            salt=salt,
            commitment=commitment,
            digest=hashlib.sha256(f"{_content(event, public)}\n{commitment}".encode()).hexdigest(),
            content_mac=hmac.digest(self._pepper, _content(event).encode(), "sha256").hex(),
        )


@dataclass(frozen=True, slots=True)
class _Row:
    event: Event
    marks: frozenset[str]
    filing: keys.Filing
    public: str
    salt: bytes
    commitment: str
    digest: str
    content_mac: str


def _content(event: Event, data: str | None = None) -> str:
    """Return a fact's content as one string: with all its data, or with ``data`` in its place."""
    moment = event.occurred_at.isoformat()
    return "\n".join((event.source, event.event_id, event.type, moment, event.content if data is None else data))


def _canonical_public(event: Event) -> str:
    return event.payload.model_dump_json(exclude_none=True, exclude_unset=True)


def _as_json(row: _Row) -> str:
    """Return a row as a JSON object. The driver sends one document per batch much faster than an array."""
    event = row.event
    said = {
        "id": str(event.fact_id),
        "source": event.source,
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": event.occurred_at.isoformat(),
        "marks": " ".join(sorted(row.marks)),
        "digest": row.digest,
        "content_mac": row.content_mac,
        "salt": row.salt.hex(),
        "commitment": row.commitment,
        "keys": sorted(row.filing.keys | row.filing.traces),
    }
    return f'{dump(said)[:-1]},"data":{row.public},"body":{event.content}}}'


async def _conflicting(connection: AsyncConnection, known: Sequence[_Row]) -> list[Event]:
    """Return those facts that were recorded before with a different payload."""
    if not known:
        return []
    result = await connection.execute(_CONTENT_MACS, {"ids": array(str(row.event.fact_id) for row in known)})
    macs: dict[UUID, str] = {row.id: row.content_mac for row in result}
    return [row.event for row in known if macs[row.event.fact_id] != row.content_mac]


# Without statistics the planner overestimates a batch's cost and would JIT-compile each statement.
_TAKE_LOCKS: Final = text("""
WITH settings AS MATERIALIZED (SELECT set_config('jit', 'off', true))
SELECT pg_advisory_xact_lock(:space, l) FROM settings CROSS JOIN unnest(CAST(:locks AS int[])) AS l
""")

_INSERT_FACTS: Final = text("""
WITH incoming AS (
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS f(
        id uuid, source text, event_id text, type text, occurred_at timestamptz, data jsonb, marks text, digest text,
        content_mac text, body jsonb, salt text, commitment text, keys json)
), inserted AS (
    INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac, batch_id)
    SELECT id, source, event_id, type, occurred_at, CAST(:received_at AS timestamptz), data,
           string_to_array(marks, ' '), digest, content_mac, CAST(:batch AS uuid)
    FROM incoming
    ON CONFLICT DO NOTHING RETURNING id
), personal AS (
    INSERT INTO personal_data (subject_id, body, salt, commitment)
    SELECT id, body, decode(salt, 'hex'), commitment FROM incoming JOIN inserted USING (id)
), filed AS (
    INSERT INTO fact_key (key, fact_id)
    SELECT k.key, id FROM incoming JOIN inserted USING (id) CROSS JOIN json_array_elements_text(incoming.keys) AS k(key)
)
SELECT id FROM inserted
""")

_CONTENT_MACS: Final = text("SELECT id, content_mac FROM fact WHERE id = ANY(CAST(:ids AS uuid[]))")
