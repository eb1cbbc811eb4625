"""Record facts, link them to referrals and store the wake-ups, in one transaction (SPEC §3).

Everything works on lists, so that a file of a hundred thousand lines costs a few statements per batch.
"""

import hmac
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.intake_warnings import FactWarning, unknown_programs
from referral_rewards.domain.facts.outcomes import Outcome, outcomes
from referral_rewards.domain.facts.phones import Regions
from referral_rewards.domain.facts.rights import OURSELVES, Teller
from referral_rewards.register import tellers
from referral_rewards.register.facts.filed import Filed
from referral_rewards.register.facts.linking import link
from referral_rewards.register.facts.rows import Prepared, Preparer, StoredFact, filed
from referral_rewards.register.locks import Lock, array
from referral_rewards.register.payees import method_notices, tax_holds

__all__ = ["NOTHING", "Intake", "Prepared", "Recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a list of facts: the outcome of each, and the warnings of those that are on record, by place."""

    events: tuple[Event, ...]
    outcomes: tuple[Outcome, ...]
    warnings: tuple[tuple[int, FactWarning], ...]

    @property
    def new(self) -> int:
        """How many were stored now."""
        return self.outcomes.count(Outcome.RECORDED) + self.outcomes.count(Outcome.PARKED)

    @property
    def repeated(self) -> int:
        """How many were on record before."""
        return self.outcomes.count(Outcome.REPEATED)

    @property
    def conflicts(self) -> tuple[Event, ...]:
        """Those that contradict what is on record, or an earlier one of the list."""
        each = zip(self.events, self.outcomes, strict=True)
        return tuple([event for event, outcome in each if outcome is Outcome.CONFLICT])


#: What became of no facts.
NOTHING: Final = Recorded((), (), ())


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
        teller: Teller = OURSELVES,
    ) -> Recorded:
        """Store the new facts among ``events`` and wake the referrals that they concern.

        A fact whose (source, id) is already recorded changes nothing, whoever tells it again. If its payload differs,
        it is returned as a conflict. With a ``batch`` the wake-ups are held back until that batch is finished. The
        ``teller`` stands with each new fact; that they may tell it is checked before.
        """
        told = events if isinstance(events, Prepared) else self.prepare(events)
        await connection.execute(_TAKE_LOCKS, {"programs": Lock.PROGRAMS, "space": Lock.FACTS, "locks": told.locks})
        stored = await _store(connection, told, received_at, batch, teller)
        fresh = [row for row in told.rows if row.event.id not in stored.macs] if stored.macs else told.rows
        if fresh:
            await _link(connection, filed(fresh) if stored.macs else told.filed, batch, received_at)
        return _recorded(told, stored, {row.event.id for row in fresh})


class _Stored(NamedTuple):
    """The keyed hash of the content of each fact that was recorded before, and the programs that nobody published."""

    macs: Mapping[str, str]
    unpublished: Mapping[str, FactWarning]


async def _store(
    connection: AsyncConnection, told: Prepared, received_at: datetime, batch: UUID | None, teller: Teller
) -> _Stored:
    """Store the new facts, and return what is on record about the others and about the programs that all name."""
    asked = {**told.columns, "received_at": received_at, "batch": batch, **tellers.columns(teller)}
    asked["sealed"] = array([_sealed(connection, row) for row in told.rows])
    rows = (await connection.execute(_INSERT_FACTS, asked)).all()
    macs: dict[str, str | None] = {str(row.id): row.content_mac for row in rows if row.program is None}
    named = [row for row in rows if row.program is not None]
    # Another transaction recorded it after this statement began. Its row is visible to the next one.
    if unseen := [each for each, mac in macs.items() if mac is None]:
        macs |= {
            str(row.id): row.content_mac for row in await connection.execute(_CONTENT_MACS, {"ids": array(unseen)})
        }
    return _Stored(
        {each: mac for each, mac in macs.items() if mac is not None},
        unknown_programs([row.program for row in named], named[0].published if named else ()),
    )


def _sealed(connection: AsyncConnection, row: StoredFact) -> str:
    salt, fact = bytes.fromhex(row.salt), row.event.fact_id
    return personal.seal(connection, fact, row.event.content, salt=salt).hex()


def _recorded(told: Prepared, stored: _Stored, fresh: Set[str]) -> Recorded:
    became = outcomes(told.events, fresh, told.conflicts | _refuted(told, stored.macs), stored.unpublished.keys())
    warned = {row.event.id: row.warnings for row in told.rows if row.warnings}
    found = [
        (place, warning)
        for place, (event, outcome) in enumerate(zip(told.events, became, strict=True))
        if outcome is not Outcome.CONFLICT
        for warning in (*_of_program(event, stored.unpublished), *warned.get(event.id, ()))
    ]
    return Recorded(told.events, became, tuple(found))


def _of_program(event: Event, unpublished: Mapping[str, FactWarning]) -> tuple[FactWarning, ...]:
    warning = unpublished.get(event.public.get("program", "")) if unpublished else None
    return () if warning is None else (warning,)


def _refuted(told: Prepared, macs: Mapping[str, str]) -> frozenset[int]:
    """Return the places of those events that say something else than what was recorded before under their id."""
    if not macs:
        return frozenset()
    other = {row.event.id for row in told.rows if macs.get(row.event.id, row.content_mac) != row.content_mac}
    return frozenset([place for place, event in enumerate(told.events) if event.id in other])


async def _link(connection: AsyncConnection, filed: Filed, batch: UUID | None, at: datetime) -> None:
    await link(connection, filed, batch)
    if filed.payees_with_form:
        await tax_holds.wake(connection, filed.payees_with_form, batch)
    if filed.methods:
        await method_notices.plan(connection, filed.methods, at)


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
        CAST(:moments AS timestamptz[]), CAST(:public AS text[]), CAST(:sealed AS text[]), CAST(:marks AS text[]),
        CAST(:digests AS text[]), CAST(:macs AS text[]), CAST(:commitments AS text[])
    ) AS f(id, source, event_id, type, occurred_at, public, sealed, marks, digest, content_mac, commitment)
), teller AS (
    INSERT INTO fact_teller (id, username, token_id, sources, types)
    SELECT CAST(:teller AS uuid), :teller_user, CAST(:teller_token AS uuid), CAST(:teller_sources AS text[]),
           CAST(:teller_types AS text[])
    WHERE CAST(:teller AS uuid) IS NOT NULL
    ON CONFLICT DO NOTHING
), inserted AS (
    INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac, batch_id,
                      teller_id)
    SELECT id, source, event_id, type, occurred_at, CAST(:received_at AS timestamptz), CAST(public AS jsonb),
           string_to_array(marks, ' '), digest, content_mac, CAST(:batch AS uuid), CAST(:teller AS uuid)
    FROM incoming
    ON CONFLICT DO NOTHING RETURNING id
), personal AS (
    INSERT INTO personal_data (subject_id, sealed, commitment)
    SELECT id, decode(sealed, 'hex'), commitment FROM incoming JOIN inserted USING (id)
), filed AS (
    INSERT INTO fact_key (key, fact_id)
    SELECT k.key, inserted.id
    FROM unnest(CAST(:keys AS text[]), CAST(:key_facts AS uuid[])) AS k(key, id) JOIN inserted USING (id)
), audited AS (
    INSERT INTO audit_event (at, actor, act, subject, details)
    SELECT CAST(:received_at AS timestamptz), :teller_user, 'facts.told',
           coalesce(CAST(CAST(:batch AS uuid) AS text), min(CAST(id AS text))),
           jsonb_build_object('token', CAST(:teller_token AS uuid), 'facts', count(*),
                              'sources', array_agg(DISTINCT source), 'types', array_agg(DISTINCT type))
    FROM incoming JOIN inserted USING (id) WHERE CAST(:teller AS uuid) IS NOT NULL HAVING count(*) > 0
), known AS MATERIALIZED (
    SELECT id FROM incoming EXCEPT SELECT id FROM inserted
)
SELECT id, (SELECT content_mac FROM fact WHERE fact.id = known.id) AS content_mac, NULL AS program,
       NULL AS published
FROM known
UNION ALL
SELECT NULL, NULL, named.program, ARRAY(SELECT DISTINCT program FROM program_version)
FROM unnest(CAST(:programs AS text[])) AS named(program)
WHERE NOT EXISTS (SELECT 1 FROM program_version v WHERE v.program = named.program)
""")

_CONTENT_MACS: Final = text("SELECT id, content_mac FROM fact WHERE id = ANY(CAST(:ids AS uuid[]))")
