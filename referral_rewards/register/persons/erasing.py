"""Erase a person: at once what can be read; the marks stay (SPEC §11). It waits while something of theirs is open."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.persons.erasing import waits_for
from referral_rewards.domain.persons.kept_outside import told_again_until
from referral_rewards.domain.persons.mark_seal import sealed
from referral_rewards.personal import SALT_BYTES
from referral_rewards.register import audit, typed_rows
from referral_rewards.register.persons import payloads
from referral_rewards.register.persons.finding import Known, Person, find

#: The acts in the audit log; their subject is the erasing.
ASKED: Final = "person.erase_asked"
ERASED: Final = "person.erased"


class Erasure(NamedTuple):
    """The erasing of a person: by what they are known (``names`` name nobody), and what it waits for (``waits``).

    ``texts_blanked`` counts facts, letters and notes, ``payloads_blanked`` what sources sent. The marks that stay go at
    ``marks_due_at``, or wait for what ``marks_stay`` says; they went in ``facts_without_marks`` facts.
    """

    id: UUID
    names: tuple[str, ...]
    asked_by: str
    asked_at: datetime
    tried_at: datetime
    waits: tuple[str, ...]
    erased_at: datetime | None
    texts_blanked: int
    payloads_blanked: int
    marks_due_at: datetime | None
    marks_stay: str | None
    marks_removed_at: datetime | None
    facts_without_marks: int


@dataclass(frozen=True, slots=True)
class _Blanked:
    texts: int
    payloads: int


async def ask(connection: AsyncConnection, asked: Known, *, by: str, at: datetime) -> Erasure | None:
    """Record that a person is to be erased, and erase them if nothing of theirs is open; None if nobody is known so.

    Asked again, it is another erasing: it finds what came since.
    """
    person = await find(connection, asked)
    if not person.is_known:
        return None
    name = uuid4()
    given = {"id": name, "names": list(asked.names), "by": by, "at": at}
    await connection.execute(_ASK, given)
    await audit.note(connection, actor=by, act=ASKED, subject=str(name), at=at)
    return await _try(connection, name, person, None, by=by, at=at)


async def go_on(connection: AsyncConnection, at: datetime) -> int:
    """Try the erasing that was tried longest ago and waits, and return how many were tried: 1, or 0 if none waits that
    was not tried at this instant."""
    row = (await connection.execute(_NEXT, {"at": at})).one_or_none()
    if row is None:
        return 0
    person = await find(connection, Known.of_names(row.names))
    await _try(connection, row.id, person, told_again_until(row.restored_at), by=audit.WORKER, at=at)
    return 1


async def waiting(connection: AsyncConnection, now: datetime) -> tuple[int, float]:
    """Return how many erasings wait, and for how many seconds the oldest does; 0 without any. One that a restore lost
    waits since that was found."""
    row = (await connection.execute(_WAITING)).one()
    return row.n, max(0.0, (now - row.since).total_seconds()) if row.since else 0.0


async def listing(connection: AsyncConnection) -> Sequence[Erasure]:
    """Return every erasing, the newest first."""
    return await typed_rows.read(connection, Erasure, _LISTING)


async def _try(
    connection: AsyncConnection, name: UUID, person: Person, until: datetime | None, *, by: str, at: datetime
) -> Erasure:
    """Erase the person if nothing of theirs is open. ``until`` a time it is done again, as sources tell again what a
    restore lost."""
    waits = waits_for(person.affairs)
    done = _Blanked(0, 0) if waits else await _blank(connection, name, person, at)
    if until is not None and at < until:
        waits = (*waits, f"what sources tell again after a restore, until {until:%Y-%m-%d}")
    given = {
        "id": name,
        "waits": list(waits[:_TOLD_MAX]),
        "at": at,
        "erased_at": None if waits else at,
        "texts": done.texts,
        "payloads": done.payloads,
    }
    await connection.execute(_TRIED, given)
    if not waits:
        said = {"texts": done.texts, "payloads": done.payloads}
        await audit.note(connection, actor=by, act=ERASED, subject=str(name), at=at, **said)
    found = await typed_rows.read_one(connection, Erasure, _ONE, {"id": name})
    assert found is not None
    return found


async def _blank(connection: AsyncConnection, name: UUID, person: Person, at: datetime) -> _Blanked:
    """Blank what can be read. What sources sent is found by the facts made of it, and by what it says of the person
    where nothing was made of it: that must be read first.

    Once the text is gone, nothing shows that a fact's marks are its own: from now on a seal does.
    """
    events = await payloads.about(connection, person)
    subjects = [*(each.id for each in person.facts), *person.letters, *person.handovers, *person.notes]
    texts = (await connection.execute(_BLANK_TEXTS, {"subjects": subjects, "at": at})).rowcount
    sent = (await connection.execute(_BLANK_PAYLOADS, {"events": list(events), "at": at})).rowcount
    facts = [each for each in person.facts if each.sealed is not None]
    seals = [sealed(each.marks, os.urandom(SALT_BYTES)) for each in facts]
    await connection.execute(_SEAL_MARKS, {"erasure": name, "facts": [each.id for each in facts], "seals": seals})
    return _Blanked(texts, sent)


#: How many of the things that it waits for are told.
_TOLD_MAX: Final = 50

_COLUMNS: Final = """id, names, asked_by, asked_at, tried_at, waits, erased_at, texts_blanked, payloads_blanked,
    marks_due_at, marks_stay, marks_removed_at, facts_without_marks"""

_ASK: Final = text("""
INSERT INTO person_erasure (id, names, asked_by, asked_at, tried_at) VALUES (:id, :names, :by, :at, :at)
""")

_NEXT: Final = text("""
SELECT id, names, restored_at FROM person_erasure WHERE erased_at IS NULL AND tried_at < CAST(:at AS timestamptz)
ORDER BY tried_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
""")

_WAITING: Final = text("""
SELECT count(*) AS n, min(coalesce(restored_at, asked_at)) AS since FROM person_erasure WHERE erased_at IS NULL
""")

_TRIED: Final = text("""
UPDATE person_erasure
SET waits = :waits, tried_at = CAST(:at AS timestamptz), erased_at = CAST(:erased_at AS timestamptz),
    texts_blanked = texts_blanked + :texts, payloads_blanked = payloads_blanked + :payloads
WHERE id = :id
""")

_ONE: Final = text(f"SELECT {_COLUMNS} FROM person_erasure WHERE id = :id")  # noqa: S608 (words of ours)
_LISTING: Final = text(
    f"SELECT {_COLUMNS} FROM person_erasure ORDER BY asked_at DESC, id LIMIT 1000"  # noqa: S608 (words of ours)
)

_BLANK_TEXTS: Final = text("""
UPDATE personal_data SET sealed = NULL, erased_at = CAST(:at AS timestamptz)
WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND sealed IS NOT NULL
""")

_SEAL_MARKS: Final = text("""
INSERT INTO erased_mark (fact_id, erasure, seal)
SELECT id, :erasure, seal FROM unnest(CAST(:facts AS uuid[]), CAST(:seals AS text[])) AS fresh(id, seal)
""")

_BLANK_PAYLOADS: Final = text("""
UPDATE source_payload SET sealed = NULL, erased_at = CAST(:at AS timestamptz)
WHERE event = ANY(CAST(:events AS uuid[])) AND sealed IS NOT NULL
""")
