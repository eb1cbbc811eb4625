"""Keep the events of sources as they came, and record the facts that are made of them, in one transaction.

Everything works on lists: a vendor may send a hundred events in one request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import BadInput, FactConflict
from referral_rewards.domain.facts.events import Event, parse_event, too_far_ahead
from referral_rewards.domain.facts.ids import event_id_problem
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.outcomes import Outcome as FactOutcome
from referral_rewards.register import typed_rows
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.locks import array, dump
from referral_rewards.register.queue.strays import PARK_EVENT
from referral_rewards.register.source_events import payloads
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import Reading, Told, Unreadable
from referral_rewards.vendors.telling import Outcome, Telling, told

_TYPE_LENGTH_MAX: Final = 200
_NAMESPACE: Final = UUID("5f4c1f6e-0d0b-5f0e-9b57-2f5f3f1f9e21")


@dataclass(frozen=True, slots=True)
class Kept:
    """One event to keep: as it came, and what it says or why it can't be read."""

    id: UUID
    event_id: str
    type: str
    at: datetime | None
    told: Told
    reading: Reading | None
    why: str | None = None

    @property
    def of(self) -> str | None:
        """The name that its facts wait for, or are told under."""
        return None if self.reading is None else self.reading.of

    @property
    def mark(self) -> str | None:
        """The name that is linked once its facts need not be told any more."""
        return None if self.reading is None else self.reading.mark


class Became(NamedTuple):
    """What became of one event. ``repeated``: it was kept before, and nothing changed."""

    id: UUID
    event_id: str
    type: str
    outcome: Outcome
    why: str | None
    facts: tuple[UUID, ...]
    recorded: int
    repeated: bool = False


def event_number(source: str, event_id: str) -> UUID:
    """Return the id of an event in our register."""
    return uuid5(_NAMESPACE, f"{source}\x00{event_id}")


async def keep(
    connection: AsyncConnection, source: ConnectedSource, events: Sequence[Kept], intake: Intake, now: datetime
) -> tuple[Became, ...]:
    """Keep the events that are new, and record what they say. Those kept before change nothing.

    The caller has verified that they are the vendor's.
    """
    asked = {
        "source": source.name,
        "received_at": now,
        "ids": array(str(each.id) for each in events),
        "event_ids": [each.event_id for each in events],
        "types": [each.type for each in events],
        "moments": [each.at for each in events],
        "sealed": [
            payloads.sealed(connection, each.id, each.told._replace(headers=source.kept_headers(each.told)))
            for each in events
        ],
    }
    fresh = {row.id for row in await connection.execute(_KEEP, asked)}
    new = [each for each in {each.id: each for each in events}.values() if each.id in fresh]
    became = {each.id: each for each in await tell(connection, source, new, intake, now)}
    return tuple(became.pop(each.id) if each.id in became else _repeated(each) for each in events)


async def tell(
    connection: AsyncConnection, source: ConnectedSource, events: Sequence[Kept], intake: Intake, now: datetime
) -> tuple[Became, ...]:
    """Record what kept events say, by what is known of their names now.

    The same again changes nothing; what contradicts what is on record makes the event unreadable, for a person.
    """
    if not events:
        return ()
    names = {name for each in events for name in (each.of, each.mark) if name is not None}
    known = await _known(connection, source.name, sorted(names))
    parts = [_told(source, each, known, now) for each in events]
    facts = [event for part in parts for event in part.facts]
    recorded = await intake.record(connection, facts, received_at=now, teller=source.teller) if facts else None
    became = iter(recorded.outcomes if recorded else ())
    found = []
    for each, part in zip(events, parts, strict=True):
        outcomes = [next(became) for _ in part.facts]
        found.append(_became(each, part, outcomes))
    await _save(connection, source.name, parts, found, now)
    return tuple(found)


class _Part(NamedTuple):
    telling: Telling
    facts: tuple[Event, ...]


def _told(source: ConnectedSource, each: Kept, known: Mapping[str, OrderName], now: datetime) -> _Part:
    """Return the facts to record of one event, and what becomes of it."""
    if each.reading is None:
        return _Part(Telling(Outcome.UNREADABLE, each.why), ())
    telling = told(each.reading, known.get(each.of or ""), source.mapping.store, is_marked=each.mark in known)
    facts, problems = parsed(source, telling.facts, now)
    if problems:
        # Its mark is not linked: once it can be read, all its facts are to be told.
        links = {name: order for name, order in (telling.links or {}).items() if name != each.mark}
        telling = Telling(Outcome.UNREADABLE, "; ".join(problems), links=links, awaits=telling.awaits)
    return _Part(telling, facts)


def parsed(
    source: ConnectedSource, facts: Sequence[Mapping[str, Any]], now: datetime
) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Return the facts that are well formed and may be told by the source, and what is wrong with the others."""
    good, problems = [], []
    for document in facts:
        try:
            event = parse_event(document)
            if wrong := too_far_ahead(event, now) or source.rights.objection(event.source, event.type):
                raise BadInput([wrong])
        except BadInput as error:
            problems += [f"{document.get('type', 'a fact')}: {each}" for each in error.problems]
        else:
            good.append(event)
    return tuple(good), tuple(problems)


def _became(each: Kept, part: _Part, outcomes: Sequence[FactOutcome]) -> Became:
    conflicts = [
        str(FactConflict(event.source, event.event_id))
        for event, outcome in zip(part.facts, outcomes, strict=True)
        if outcome is FactOutcome.CONFLICT
    ]
    telling = part.telling
    outcome, why = telling.outcome, telling.why
    if conflicts:
        outcome, why = Outcome.UNREADABLE, "; ".join(filter(None, (why, *conflicts)))
    new = sum(each in (FactOutcome.RECORDED, FactOutcome.PARKED) for each in outcomes)
    ids = tuple(event.fact_id for event in part.facts)
    return Became(each.id, each.event_id, each.type, outcome, why, ids, new)


def _repeated(each: Kept) -> Became:
    return Became(each.id, each.event_id, each.type, Outcome.READ, None, (), 0, repeated=True)


class _Known(NamedTuple):
    name: str
    order_id: str
    store: str | None


async def _known(connection: AsyncConnection, source: str, names: Sequence[str]) -> Mapping[str, OrderName]:
    if not names:
        return {}
    rows = await typed_rows.read(connection, _Known, _NAMES, {"source": source, "names": array(names)})
    return {row.name: OrderName(row.order_id, row.store) for row in rows}


async def _save(
    connection: AsyncConnection, source: str, parts: Sequence[_Part], found: Sequence[Became], now: datetime
) -> None:
    links = {name: order for part in parts for name, order in (part.telling.links or {}).items()}
    rows = [
        {
            "event": str(each.id),
            "outcome": each.outcome,
            "why": each.why,
            "awaits": part.telling.awaits,
            "facts": [str(fact) for fact in each.facts],
        }
        for part, each in zip(parts, found, strict=True)
    ]
    asked = {"source": source, "rows": dump(rows), "now": now, "parked": _is_parked(found)}
    asked["links"] = dump([(name, order.id, order.store) for name, order in sorted(links.items())])
    await connection.execute(_SAVE, asked)


def _is_parked(found: Sequence[Became]) -> bool:
    return any(each.outcome is Outcome.UNREADABLE for each in found)


def unread(source: ConnectedSource, told: Told, error: Unreadable, name: str) -> Kept:
    """Return an event that can't be read, under a name of its own."""
    return Kept(event_number(source.name, name), name, shown(error.event_type), None, told, None, str(error))


def shown(event_type: str) -> str:
    """Return the type of an event as it is listed; ``unnamed`` if it has none that can be kept."""
    kind = event_type[:_TYPE_LENGTH_MAX]
    return "unnamed" if event_id_problem(kind) is not None else kind


_KEEP: Final = text("""
WITH told AS MATERIALIZED (
    SELECT DISTINCT ON (id) * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:event_ids AS text[]), CAST(:types AS text[]), CAST(:moments AS timestamptz[]),
        CAST(:sealed AS bytea[])
    ) AS t(id, event_id, type, at, sealed) ORDER BY id
), fresh AS (
    INSERT INTO source_event (id, source, event_id, type, at, received_at)
    SELECT id, :source, event_id, type, at, CAST(:received_at AS timestamptz) FROM told
    ON CONFLICT DO NOTHING RETURNING id
), payload AS (
    INSERT INTO source_payload (event, sealed) SELECT id, sealed FROM told JOIN fresh USING (id)
)
SELECT id FROM fresh
""")

_NAMES: Final = text("""
SELECT name, order_id, store FROM source_name WHERE source = :source AND name = ANY(CAST(:names AS text[]))
""")

# What was made of an event is never forgotten, though it be read otherwise later.
_SAVE: Final = text(f"""
WITH linked AS (
    INSERT INTO source_name (source, name, order_id, store)
    SELECT :source, l->>0, l->>1, l->>2 FROM json_array_elements(CAST(:links AS json)) AS l
    ON CONFLICT DO NOTHING
), parked AS ({PARK_EVENT}
)
INSERT INTO source_reading AS r (event, source, outcome, why, awaits, facts, read_at)
SELECT n.event, :source, n.outcome, n.why, n.awaits, n.facts, CAST(:now AS timestamptz)
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n(event uuid, outcome text, why text, awaits text, facts jsonb)
ORDER BY n.event
ON CONFLICT (event) DO UPDATE
SET outcome = excluded.outcome, why = excluded.why, awaits = excluded.awaits, read_at = excluded.read_at,
    facts = (SELECT coalesce(jsonb_agg(DISTINCT f), '[]') FROM jsonb_array_elements(r.facts || excluded.facts) AS f)
""")  # noqa: S608 (a constant of ours)
