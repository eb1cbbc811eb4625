"""Remove the marks of erased persons once their retention is over (SPEC §11): load, judge, save, one erasing at a time.

What is left of each mark is its kind and a random number, the same in all facts of the person: what was linked stays
linked, so that a reward can still be verified and a referral reopened. No new fact meets it any more.
"""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Executable, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.identity import IDENTITY_KINDS, is_keyed, of_kinds, removed
from referral_rewards.domain.payouts.states import WAS_PAID
from referral_rewards.domain.persons.erasing import waits_for
from referral_rewards.domain.persons.mark_seal import sealed
from referral_rewards.domain.persons.retention import Erased, Life, Marks, Retention, judge
from referral_rewards.personal import SALT_BYTES
from referral_rewards.register import audit, typed_rows
from referral_rewards.register.locks import Lock
from referral_rewards.register.persons.finding import FactOfPerson, Known, Person, find

#: The act in the audit log; its subject is the erasing.
REMOVED: Final = "person.marks_removed"


class Looked(NamedTuple):
    """An erasing that was looked at: what becomes of its marks, and in how many facts they went now."""

    erasure: UUID
    marks: Marks
    facts: int


class _Next(NamedTuple):
    id: UUID
    names: Sequence[str]
    erased_at: datetime


class _File(NamedTuple):
    """All that a removal depends on."""

    person: Person
    erased: Erased


async def go_on(connection: AsyncConnection, retention: Retention, since: datetime, now: datetime) -> Looked | None:
    """Look at the erasing that was looked at longest ago, and remove its marks if they are due; None if each was looked
    at since then."""
    erasure = await typed_rows.read_one(connection, _Next, _NEXT, {"since": since})
    if erasure is None:
        return None
    file = await _load(connection, erasure)
    marks = judge(file.erased, retention, now)
    facts = 0
    if marks.stays is None:
        # Intake links no fact by these marks meanwhile: what it would have linked is seen by the second look.
        await connection.execute(_LOCK, {"space": int(Lock.FACTS), "locks": keys.locks(_marks(file.person))})
        file = await _load(connection, erasure)
        marks = judge(file.erased, retention, now)
    if marks.stays is None:
        facts = await _remove(connection, erasure, file, retention, now)
    await _keep(connection, erasure, marks, facts, now)
    return Looked(erasure.id, marks, facts)


async def _load(connection: AsyncConnection, erasure: _Next) -> _File:
    person = await _linked(connection, Known.of_names(erasure.names))
    heard = {key for fact in person.facts for key in _heard_by(fact)}
    asked = {"sides": list(person.referrals), "keys": sorted(heard | _marks(person))}
    lives = await typed_rows.read(connection, Life, _LIVES, asked)
    told_again = any(fact.sealed is not None and any(map(is_keyed, fact.marks)) for fact in person.facts)
    return _File(person, Erased(erasure.erased_at, lives, waits_for(person.affairs), told_again))


async def _linked(connection: AsyncConnection, known: Known) -> Person:
    """Return whoever is known so, with all who are linked to them by a mark, at whatever remove: a mark goes from every
    fact at once, or the number that is left would link less than it did."""
    while True:
        person = await find(connection, known)
        marks = of_kinds(_marks(person), IDENTITY_KINDS)
        wider = Known(known.marks | marks, known.referrers | person.known.referrers)
        if wider == known:
            return person
        known = wider


def _heard_by(fact: FactOfPerson) -> Iterable[str]:
    """The keys by which referrals hear of a fact beside its marks: those of somebody else, whose order it tells of."""
    for name in ("order", "referral"):
        if name in fact.data:
            yield f"{name}:{fact.data[name]}"


async def _remove(connection: AsyncConnection, erasure: _Next, file: _File, retention: Retention, now: datetime) -> int:
    """Remove the keyed marks of a person from their erased facts, from the keys, and from the erasing's names."""
    person, referrals = file.person, [life.referral for life in file.erased.lives]
    facts = [each for each in person.facts if each.sealed is None and any(map(is_keyed, each.marks))]
    left = {mark: removed(mark, secrets.randbits(128)) for mark in _marks(person) if is_keyed(mark)}
    fresh = {fact.id: [left.get(mark, mark) for mark in fact.marks] for fact in facts}
    given = {
        "facts": list(fresh),
        "seals": [sealed(marks, os.urandom(SALT_BYTES)) for marks in fresh.values()],
        "marks": [" ".join(marks) for marks in fresh.values()],
        "at": now,
        "paid": retention.paid_days,
        "unpaid": retention.unpaid_days,
    }
    # The row that says so comes first: without it a trigger refuses the rest.
    await connection.execute(_NOTE_REMOVAL, given)
    await connection.execute(_REMOVE_MARKS, given)
    await _rekey_facts(connection, facts, left)
    await _rekey_referrals(connection, referrals, left)
    names = [left.get(name, name) for name in erasure.names]
    await connection.execute(_RENAME, {"id": erasure.id, "names": names})
    # The reports say of how many rewards the marks are gone.
    await connection.execute(_EXAMINE_AGAIN, {"referrals": referrals})
    said = {"facts": len(facts), "paid_days": retention.paid_days, "unpaid_days": retention.unpaid_days}
    await audit.note(connection, actor=audit.WORKER, act=REMOVED, subject=str(erasure.id), at=now, **said)
    return len(facts)


async def _rekey_facts(connection: AsyncConnection, facts: Sequence[FactOfPerson], left: Mapping[str, str]) -> None:
    wanted = {key for fact in facts for mark in fact.marks for key in keys.keys_of_mark(mark, fact.data)}
    asked = {"keys": sorted(wanted), "facts": [fact.id for fact in facts]}
    found = [(row.key, row.fact_id) for row in await connection.execute(_KEYS_OF_FACTS, asked)]
    await _rekey(connection, _REKEY_FACTS, found, left)


async def _rekey_referrals(connection: AsyncConnection, referrals: Sequence[str], left: Mapping[str, str]) -> None:
    asked = {"referrals": referrals, "marks": sorted(left)}
    found = [(row.key, row.referral_id) for row in await connection.execute(_KEYS_OF_REFERRALS, asked)]
    await _rekey(connection, _REKEY_REFERRALS, found, left)


async def _rekey(
    connection: AsyncConnection, statement: Executable, found: Sequence[tuple[str, object]], left: Mapping[str, str]
) -> None:
    fresh = [(key, new, owner) for key, owner in found if (new := keys.with_marks_removed(key, left)) != key]
    given = {
        "old": [key for key, _, _ in fresh],
        "new": [new for _, new, _ in fresh],
        "owners": [owner for _, _, owner in fresh],
    }
    await connection.execute(statement, given)


async def _keep(connection: AsyncConnection, erasure: _Next, marks: Marks, facts: int, now: datetime) -> None:
    gone = marks.stays is None
    given = {
        "id": erasure.id,
        "at": now,
        "due_at": marks.due_at,
        "stay": None if gone else marks.of,
        "removed_at": now if gone else None,
        "facts": facts,
    }
    await connection.execute(_LOOKED, given)


def _marks(person: Person) -> frozenset[str]:
    return person.known.marks.union(*(fact.marks for fact in person.facts))


_NEXT: Final = text("""
SELECT id, names, erased_at FROM person_erasure
WHERE erased_at IS NOT NULL AND marks_removed_at IS NULL
  AND (marks_looked_at IS NULL OR marks_looked_at < CAST(:since AS timestamptz))
ORDER BY marks_looked_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
""")

_LOCK: Final = text("SELECT pg_advisory_xact_lock(:space, l) FROM unnest(CAST(:locks AS int[])) AS l")

# Of every referral of theirs, also of one that only hears of their facts or waits for its program's terms. One that was
# merged into another has no life of its own.
_LIVES: Final = text(
    spelled(
        """
SELECT r.id AS referral, r.closed_at AS ended_at,
       EXISTS (SELECT 1 FROM leg WHERE referral_id = r.id AND state IN :was_paid) AS paid,
       EXISTS (SELECT 1 FROM queue_entry WHERE referral_id = r.id) AS before_person
FROM (
    SELECT unnest(CAST(:sides AS text[])) AS id
    UNION
    SELECT referral_id FROM referral_key WHERE key = ANY(CAST(:keys AS text[]))
) AS its JOIN referral r ON r.id = its.id
WHERE r.merged_into IS NULL ORDER BY r.id
""",
        was_paid=WAS_PAID,
    )
)

_NOTE_REMOVAL: Final = text("""
UPDATE erased_mark AS its
SET seal = fresh.seal, removed_at = CAST(:at AS timestamptz), paid_days = :paid, unpaid_days = :unpaid
FROM unnest(CAST(:facts AS uuid[]), CAST(:seals AS text[])) AS fresh(id, seal) WHERE its.fact_id = fresh.id
""")

_REMOVE_MARKS: Final = text("""
UPDATE fact SET marks = string_to_array(fresh.marks, ' ')
FROM unnest(CAST(:facts AS uuid[]), CAST(:marks AS text[])) AS fresh(id, marks) WHERE fact.id = fresh.id
""")

_KEYS_OF_FACTS: Final = text("""
SELECT key, fact_id FROM fact_key WHERE key = ANY(CAST(:keys AS text[])) AND fact_id = ANY(CAST(:facts AS uuid[]))
""")

_REKEY_FACTS: Final = text("""
UPDATE fact_key AS k SET key = fresh.new
FROM unnest(CAST(:old AS text[]), CAST(:new AS text[]), CAST(:owners AS uuid[])) AS fresh(old, new, fact)
WHERE k.key = fresh.old AND k.fact_id = fresh.fact
""")

_KEYS_OF_REFERRALS: Final = text("""
SELECT key, referral_id FROM referral_key
WHERE referral_id = ANY(CAST(:referrals AS text[]))
UNION
SELECT key, referral_id FROM referral_key WHERE key = ANY(CAST(:marks AS text[]))
""")

_REKEY_REFERRALS: Final = text("""
UPDATE referral_key AS k SET key = fresh.new
FROM unnest(CAST(:old AS text[]), CAST(:new AS text[]), CAST(:owners AS text[])) AS fresh(old, new, referral)
WHERE k.key = fresh.old AND k.referral_id = fresh.referral
""")

_RENAME: Final = text("UPDATE person_erasure SET names = :names WHERE id = :id")

_EXAMINE_AGAIN: Final = text("""
INSERT INTO to_examine (referral_id)
SELECT DISTINCT referral_id FROM leg WHERE referral_id = ANY(CAST(:referrals AS text[]))
""")

_LOOKED: Final = text("""
UPDATE person_erasure
SET marks_looked_at = CAST(:at AS timestamptz), marks_due_at = CAST(:due_at AS timestamptz), marks_stay = :stay,
    marks_removed_at = CAST(:removed_at AS timestamptz), facts_without_marks = :facts
WHERE id = :id
""")
