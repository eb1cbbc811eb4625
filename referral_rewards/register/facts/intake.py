"""Record facts, link them to referrals and store the wake-ups, in one transaction (SPEC §3).

Everything works on lists, so that a file of a hundred thousand lines costs a few statements per batch.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.phones import Regions
from referral_rewards.register.facts.filed import Filed
from referral_rewards.register.facts.linking import link
from referral_rewards.register.facts.rows import Prepared, Preparer, StoredFact, filed
from referral_rewards.register.locks import Lock, array
from referral_rewards.register.payees import method_notices, tax_holds

__all__ = ["Intake", "Prepared", "Recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result for a list of facts: how many are new or repeated, and which conflict."""

    new: int
    repeated: int
    conflicts: tuple[Event, ...]


class Intake:
    """Records facts with the installation's pepper, regions and stores, in the caller's transaction."""

    def __init__(self, pepper: bytes, regions: Regions | None = None, stores: Mapping[str, str] | None = None) -> None:
        self._pepper = pepper
        self._preparer = Preparer(pepper, regions, stores)
        self.marker = self._preparer.marker

    def key_for(self, purpose: str) -> bytes:
        """Derive from the pepper a key for one purpose; it reveals nothing about the others."""
        return hmac.digest(self._pepper, f"key for {purpose}".encode(), "sha256")

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Compute everything for recording these facts that needs no database; safe to call from any thread."""
        return self._preparer.prepare(events)

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
        await connection.execute(_TAKE_LOCKS, {"programs": Lock.PROGRAMS, "space": Lock.FACTS, "locks": told.locks})
        known = await _store(connection, told, received_at, batch)
        fresh = [row for row in told.rows if row.event.id not in known] if known else told.rows
        if fresh:
            await _link(connection, filed(fresh) if known else told.filed, batch, received_at)
        conflicts = (*told.conflicts, *(_conflicting(told.rows, known) if known else ()))
        return Recorded(len(fresh), told.size - len(fresh) - len(conflicts), conflicts)


async def _store(
    connection: AsyncConnection, told: Prepared, received_at: datetime, batch: UUID | None
) -> dict[str, str]:
    """Store the new facts, and return the content's keyed hash of each that was recorded before."""
    asked = {**told.columns, "received_at": received_at, "batch": batch}
    macs: dict[str, str | None] = {
        str(row.id): row.content_mac for row in await connection.execute(_INSERT_FACTS, asked)
    }
    # Another transaction recorded it after this statement began. Its row is visible to the next one.
    if unseen := [each for each, mac in macs.items() if mac is None]:
        macs |= {
            str(row.id): row.content_mac for row in await connection.execute(_CONTENT_MACS, {"ids": array(unseen)})
        }
    return {each: mac for each, mac in macs.items() if mac is not None}


async def _link(connection: AsyncConnection, filed: Filed, batch: UUID | None, at: datetime) -> None:
    await link(connection, filed, batch)
    if filed.payees_with_form:
        await tax_holds.wake(connection, filed.payees_with_form, batch)
    if filed.methods:
        await method_notices.plan(connection, filed.methods, at)


def _conflicting(rows: Sequence[StoredFact], known: Mapping[str, str]) -> list[Event]:
    """Return those facts that were recorded before with a different payload."""
    return [row.event for row in rows if known.get(row.event.id, row.content_mac) != row.content_mac]


# Without statistics the planner overestimates a batch's cost and would JIT-compile each statement. The programs come
# first: both are materialized before the first key is locked.
_TAKE_LOCKS: Final = text("""
WITH settings AS MATERIALIZED (
    SELECT set_config('jit', 'off', true)
), programs AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(:programs, hashtext(''))
)
SELECT pg_advisory_xact_lock(:space, l) FROM settings CROSS JOIN programs CROSS JOIN unnest(CAST(:locks AS int[])) AS l
""")

_INSERT_FACTS: Final = text("""
WITH incoming AS MATERIALIZED (
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]), CAST(:types AS text[]),
        CAST(:moments AS timestamptz[]), CAST(:public AS text[]), CAST(:bodies AS text[]), CAST(:marks AS text[]),
        CAST(:digests AS text[]), CAST(:macs AS text[]), CAST(:salts AS text[]), CAST(:commitments AS text[])
    ) AS f(id, source, event_id, type, occurred_at, public, body, marks, digest, content_mac, salt, commitment)
), inserted AS (
    INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac, batch_id)
    SELECT id, source, event_id, type, occurred_at, CAST(:received_at AS timestamptz), CAST(public AS jsonb),
           string_to_array(marks, ' '), digest, content_mac, CAST(:batch AS uuid)
    FROM incoming
    ON CONFLICT DO NOTHING RETURNING id
), personal AS (
    INSERT INTO personal_data (subject_id, body, salt, commitment)
    SELECT id, CAST(body AS jsonb), decode(salt, 'hex'), commitment FROM incoming JOIN inserted USING (id)
), filed AS (
    INSERT INTO fact_key (key, fact_id)
    SELECT k.key, inserted.id
    FROM unnest(CAST(:keys AS text[]), CAST(:key_facts AS uuid[])) AS k(key, id) JOIN inserted USING (id)
), known AS MATERIALIZED (
    SELECT id FROM incoming EXCEPT SELECT id FROM inserted
)
SELECT id, (SELECT content_mac FROM fact WHERE fact.id = known.id) AS content_mac FROM known
""")

_CONTENT_MACS: Final = text("SELECT id, content_mac FROM fact WHERE id = ANY(CAST(:ids AS uuid[]))")
