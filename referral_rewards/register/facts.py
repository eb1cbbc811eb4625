"""Takes facts into the register: the fact, its links to referrals and their wake-ups, in one transaction (SPEC §3).

Everything works on a list, set by set, so that a file of a hundred thousand lines costs a few statements per batch.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts import Event, FactType
from referral_rewards.domain.identity import Marker
from referral_rewards.register import matching
from referral_rewards.register.locks import Lock, lock_shared

__all__ = ["Intake", "Recorded"]

_MAY_TELL_A_CODE: Final = frozenset({FactType.REFERRER_ENROLLED, FactType.REFERRAL_CLAIMED})


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a list of facts: how many are new or known, which conflict, and which referrals they touched."""

    new: int
    repeated: int
    conflicts: tuple[Event, ...]
    touched: tuple[str, ...]


class Intake:
    """Records facts with the installation's pepper. The caller's transaction makes it all or nothing."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        self.marker = Marker(pepper)

    async def record(
        self, connection: AsyncConnection, events: Sequence[Event], *, received_at: datetime, batch: UUID | None = None
    ) -> Recorded:
        """Stores what is new of ``events`` and wakes the referrals that it concerns.

        A fact whose (source, id) is known with the same payload changes nothing; with another payload it is returned
        as a conflict and changes nothing either. ``batch`` holds the wake-ups back until the batch is finished.
        """
        unique, conflicts = self._distinct(events)
        rows = [self._row(event) for event in unique.values()]
        every_key = {key for row in rows for key in (*row.filing.keys, *row.filing.listens)}
        await lock_shared(connection, Lock.PROGRAMS)
        await connection.execute(
            _TAKE_LOCKS, {"space": Lock.FACTS, "locks": f"{{{','.join(map(str, matching.locks(every_key)))}}}"}
        )

        fresh_ids = await _insert_facts(connection, rows, received_at, batch)
        fresh = [row for row in rows if row.event.fact_id in fresh_ids]
        known = [row for row in rows if row.event.fact_id not in fresh_ids]
        conflicts += await _conflicting(connection, known)
        touched = await _link(connection, fresh, batch) if fresh else ()
        return Recorded(len(fresh), len(events) - len(fresh) - len(conflicts), tuple(conflicts), touched)

    def _distinct(self, events: Sequence[Event]) -> tuple[dict[UUID, Event], list[Event]]:
        """The events by fact id, first come first kept, and those that contradict an earlier one of this list."""
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
            filing=matching.file(event, marks),
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
    filing: matching.Filing
    public: str
    salt: bytes
    commitment: str
    digest: str
    content_mac: str


def _content(event: Event, data: str | None = None) -> str:
    """What a fact says, as one text: with all its data, or with the given part of it."""
    moment = event.occurred_at.isoformat()
    return "\n".join((event.source, event.event_id, event.type, moment, event.content if data is None else data))


def _canonical_public(event: Event) -> str:
    return event.payload.model_dump_json(exclude_none=True, exclude_unset=True)


async def _insert_facts(
    connection: AsyncConnection, rows: Sequence[_Row], received_at: datetime, batch: UUID | None
) -> set[UUID]:
    """Inserts the facts that are not there yet, filed under their keys; their ids."""
    result = await connection.execute(
        _INSERT_FACTS,
        {"rows": f"[{','.join(map(_as_json, rows))}]", "received_at": received_at, "batch": batch},
    )
    return {fact_id for (fact_id,) in result}


def _as_json(row: _Row) -> str:
    """A row as a JSON object. One document a batch goes through the driver in a fraction of an array's time."""
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
        "keys": sorted(row.filing.keys),
    }
    return f'{_dump(said)[:-1]},"data":{row.public},"body":{event.content}}}'


async def _conflicting(connection: AsyncConnection, known: Sequence[_Row]) -> list[Event]:
    """Those of the facts recorded before whose payload was another."""
    if not known:
        return []
    result = await connection.execute(_CONTENT_MACS, {"ids": _array(str(row.event.fact_id) for row in known)})
    macs: dict[UUID, str] = {row.id: row.content_mac for row in result}
    return [row.event for row in known if macs[row.event.fact_id] != row.content_mac]


async def _link(connection: AsyncConnection, fresh: Sequence[_Row], batch: UUID | None) -> tuple[str, ...]:
    """Files the new facts, links them to the referrals that listen, raises those referrals' ``facts_version``."""
    fact_ids = _array(str(row.event.fact_id) for row in fresh)
    beginnings = _first_beginnings(row.filing.beginning for row in fresh)
    if beginnings:
        await connection.execute(_BEGIN_REFERRALS, {"rows": _dump([_columns(beginning) for beginning in beginnings])})
        heard = {(key, b.referral) for row in fresh if (b := row.filing.beginning) for key in row.filing.listens}
        await connection.execute(_LISTEN, {"pairs": _dump(sorted(heard))})
    begun = {beginning.referral for beginning in beginnings}
    if any(row.event.type in _MAY_TELL_A_CODE for row in fresh):
        begun |= await _column(connection, _RESOLVE_CODES, facts=fact_ids, referrals=_array(begun))
    if begun:
        await connection.execute(_DERIVE_LISTENS, {"referrals": _array(begun)})
    begun |= await _column(connection, _LISTEN_TO_ORDERS, facts=fact_ids, referrals=_array(begun))
    links = (await connection.execute(_LINKS, {"facts": fact_ids, "referrals": _array(begun)})).all()
    if any(row.event.type is FactType.REWARD_REQUESTED for row in fresh) or any(link.by_request for link in links):
        await connection.execute(_MERGE_REQUESTS, {"referrals": _array({link.referral_id for link in links})})
    return tuple(
        await _column(
            connection,
            _RAISE_AND_WAKE,
            referrals=_array(link.referral_id for link in links),
            facts=_array(str(link.fact_id) for link in links),
            batch=batch,
        )
    )


async def _column(connection: AsyncConnection, statement: TextClause, **parameters: Any) -> set[str]:
    """The first column of the rows that a statement returns."""
    return {row[0] for row in await connection.execute(statement, parameters)}


def _first_beginnings(beginnings: Iterable[matching.Beginning | None]) -> list[matching.Beginning]:
    """One beginning a referral, the one that takes precedence, sorted by referral."""
    first: dict[str, matching.Beginning] = {}
    for beginning in beginnings:
        if beginning is None:
            continue
        other = first.get(beginning.referral)
        if other is None or _precedence(beginning) < _precedence(other):
            first[beginning.referral] = beginning
    return [first[referral] for referral in sorted(first)]


def _precedence(beginning: matching.Beginning) -> tuple[int, datetime, str, str]:
    return (beginning.rank, beginning.at, beginning.source, beginning.event)


def _columns(beginning: matching.Beginning) -> dict[str, Any]:
    return {
        "id": beginning.referral,
        "origin_rank": beginning.rank,
        "began_at": beginning.at.isoformat(),
        "origin_source": beginning.source,
        "origin_event": beginning.event,
        "program": beginning.program,
        "referrer": beginning.referrer,
        "referrer_code": beginning.referrer_code,
        "channel": beginning.channel,
    }


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _array(values: Iterable[str]) -> str:
    """Texts without control characters as an array literal: in both notations a quoted text escapes the same."""
    return f"{{{_dump(list(values))[1:-1]}}}"


_TAKE_LOCKS: Final = text("SELECT pg_advisory_xact_lock(:space, l) FROM unnest(CAST(:locks AS int[])) AS l")

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

# The fact with the least (rank, time, source, id) says how a referral began, whatever came first.
_BEGIN_REFERRALS: Final = text("""
INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, referrer, referrer_code, channel,
                      facts_version, judged_version, round, late_facts, claim_version)
SELECT *, 0, 0, 1, 0, 0 FROM json_to_recordset(CAST(:rows AS json)) AS b(
    id text, origin_rank int, began_at timestamptz, origin_source text, origin_event text, program text, referrer text,
    referrer_code text, channel text)
ON CONFLICT (id) DO UPDATE
SET origin_rank = excluded.origin_rank, began_at = excluded.began_at, origin_source = excluded.origin_source,
    origin_event = excluded.origin_event, program = excluded.program, referrer = excluded.referrer,
    referrer_code = excluded.referrer_code, channel = excluded.channel
WHERE (excluded.origin_rank, excluded.began_at, excluded.origin_source, excluded.origin_event)
    < (referral.origin_rank, referral.began_at, referral.origin_source, referral.origin_event)
""")

_LISTEN: Final = text("""
INSERT INTO referral_key (key, referral_id)
SELECT pair->>0, pair->>1 FROM json_array_elements(CAST(:pairs AS json)) AS pair
ON CONFLICT DO NOTHING
""")

# A claim by code has the referrer whose enrolment with that code is the earliest.
_RESOLVE_CODES: Final = text("""
UPDATE referral AS r SET referrer = e.referrer
FROM (
    SELECT DISTINCT ON (rk.referral_id) rk.referral_id, f.data->>'referrer' AS referrer
    FROM referral_key rk JOIN fact_key fk USING (key) JOIN fact f ON f.id = fk.fact_id
    WHERE rk.key LIKE 'code:%' AND f.type = 'referrer.enrolled'
      AND (rk.referral_id = ANY(CAST(:referrals AS text[]))
           OR rk.key IN (SELECT key FROM fact_key WHERE fact_id = ANY(CAST(:facts AS uuid[])) AND key LIKE 'code:%'))
    ORDER BY rk.referral_id, f.occurred_at, f.source, f.event_id
) AS e
WHERE r.id = e.referral_id AND r.referrer_code IS NOT NULL AND r.referrer IS DISTINCT FROM e.referrer
RETURNING r.id
""")

# Once program and referrer are known a referral listens to what concerns the referrer, and a tracked one also to
# requests for credit that mean its referee.
_DERIVE_LISTENS: Final = text("""
INSERT INTO referral_key (key, referral_id)
SELECT k.key, r.id
FROM referral r CROSS JOIN LATERAL (
    VALUES ('referrer:' || r.program || '/' || r.referrer), ('payee:' || r.referrer)
    UNION ALL
    SELECT 'request:' || r.program || '/' || r.referrer || '/' || rk.key
    FROM referral_key rk
    WHERE rk.referral_id = r.id AND r.origin_rank < 2
      AND (rk.key LIKE 'customer:%' OR rk.key LIKE 'email:%' OR rk.key LIKE 'phone:%')
) AS k(key)
WHERE r.id = ANY(CAST(:referrals AS text[])) AND r.program IS NOT NULL AND r.referrer IS NOT NULL
ON CONFLICT DO NOTHING
""")

# A conversion matched by identity adds its order to what the referral hears: one hop, never a further identity.
_LISTEN_TO_ORDERS: Final = text("""
INSERT INTO referral_key (key, referral_id)
SELECT DISTINCT 'order:' || (f.data->>'order'), rk.referral_id
FROM fact_key fk JOIN referral_key rk USING (key) JOIN fact f ON f.id = fk.fact_id
WHERE f.type = 'conversion.recorded' AND fk.key NOT LIKE 'order:%'
  AND (fk.fact_id = ANY(CAST(:facts AS uuid[])) OR rk.referral_id = ANY(CAST(:referrals AS text[])))
ON CONFLICT DO NOTHING RETURNING referral_id
""")

# New facts for whoever listens, and all facts for referrals that listen to more than before. What concerns a referrer
# as a whole does not wake the referrals that are closed.
_LINKS: Final = text("""
SELECT referral_id, fact_id, bool_or(key LIKE 'request:%') AS by_request
FROM (
    SELECT rk.referral_id, fk.fact_id, fk.key
    FROM fact_key fk JOIN referral_key rk USING (key) JOIN referral r ON r.id = rk.referral_id
    WHERE fk.fact_id = ANY(CAST(:facts AS uuid[])) AND (r.closed_at IS NULL OR fk.key NOT LIKE 'referrer:%')
    UNION
    SELECT rk.referral_id, fk.fact_id, fk.key
    FROM referral_key rk JOIN fact_key fk USING (key)
    WHERE rk.referral_id = ANY(CAST(:referrals AS text[]))
) AS found
WHERE NOT EXISTS (
    SELECT 1 FROM referral_fact rf WHERE rf.referral_id = found.referral_id AND rf.fact_id = found.fact_id)
GROUP BY referral_id, fact_id ORDER BY referral_id
""")

# A request for credit that means the referee of a tracked referral of the same referrer is evidence there, and no
# referral of its own; unless somebody approved it before the tracked one was heard of.
_MERGE_REQUESTS: Final = text("""
UPDATE referral AS x SET merged_into = t.tracked
FROM (
    SELECT own.referral_id AS request, min(tracked.referral_id) AS tracked
    FROM fact_key fk
    JOIN referral_key tracked ON tracked.key = fk.key
    JOIN fact_key named ON named.fact_id = fk.fact_id AND named.key LIKE 'referral:%'
    JOIN referral_key own ON own.key = named.key
    JOIN referral r ON r.id = own.referral_id AND r.origin_rank = 2
    WHERE fk.key LIKE 'request:%'
      AND (tracked.referral_id = ANY(CAST(:referrals AS text[])) OR own.referral_id = ANY(CAST(:referrals AS text[])))
    GROUP BY own.referral_id
) AS t
WHERE x.id = t.request AND x.merged_into IS DISTINCT FROM t.tracked
  AND coalesce(x.status, '') NOT IN ('approved', 'paying', 'rewarded', 'clawed_back')
""")

# Raising facts_version takes the row's lock, so whoever judged without these facts finds out before acting.
_RAISE_AND_WAKE: Final = text("""
WITH link AS (
    SELECT * FROM unnest(CAST(:referrals AS text[]), CAST(:facts AS uuid[])) AS l(referral_id, fact_id)
), held AS MATERIALIZED (
    SELECT id FROM referral WHERE id IN (SELECT referral_id FROM link) ORDER BY id FOR UPDATE
), raised AS (
    UPDATE referral AS r
    SET facts_version = r.facts_version + 1,
        parked = CASE
            WHEN r.program IS NULL THEN 'referral_unknown'
            WHEN NOT EXISTS (
                SELECT 1 FROM program_version v WHERE v.program = r.program AND v.effective_from <= r.began_at
            ) THEN 'no_terms_in_force'
        END
    FROM held WHERE r.id = held.id
    RETURNING r.id, r.facts_version, r.parked, r.merged_into, r.status
), linked AS (
    INSERT INTO referral_fact (referral_id, fact_id, version)
    SELECT link.referral_id, link.fact_id, raised.facts_version FROM link JOIN raised ON raised.id = link.referral_id
), woken AS (
    INSERT INTO outbox (kind, target, subject_id, batch_id)
    SELECT 'fact', raised.id, (array_agg(link.fact_id))[1], CAST(:batch AS uuid)
    FROM raised JOIN link ON link.referral_id = raised.id
    WHERE raised.parked IS NULL AND (raised.merged_into IS NULL OR raised.status IS NOT NULL)
    GROUP BY raised.id
)
SELECT id FROM raised
""")
