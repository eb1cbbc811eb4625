"""Publish versions of a program's terms, and read them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from sqlalchemy import Pool, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ProgramVersion
from referral_rewards.domain import calendar
from referral_rewards.domain.cycles.grouping import cycle_program_id
from referral_rewards.domain.errors import NotFound, RequestInvalid, TermsNotPublishable
from referral_rewards.domain.programs.life import program_id
from referral_rewards.domain.programs.terms import PayoutCycle, Terms, load_terms
from referral_rewards.register import audit, outbox, typed_rows
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.outbox import WakeupKind

#: One cache per database: two databases in one process may hold different terms under one version number.
_versions: Final[WeakKeyDictionary[Pool, dict[tuple[str, int], Terms]]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Published:
    """The result of publishing: the version's number, whether it existed before, and how many referrals it released."""

    program: str
    version: int
    repeated: bool
    released: int


async def versions(connection: AsyncConnection, program: str) -> list[tuple[int, Terms]]:
    """Return all versions of a program, oldest first: number and terms."""
    numbers = (await connection.execute(_NUMBERS, {"program": program})).scalars().all()
    return [(number, await version(connection, program, number)) for number in numbers]


async def version(connection: AsyncConnection, program: str, number: int) -> Terms:
    """Return the terms of a version that exists."""
    found = await find(connection, program, number)
    if found is None:
        raise LookupError(f"program {program} has no version {number}")
    return found


async def find(connection: AsyncConnection, program: str | None, number: int | None) -> Terms | None:
    """Return the terms of a version of a program; None if it was never published.

    Published terms never change, so each process reads and parses a version once.
    """
    known = _versions.setdefault(connection.sync_engine.pool, {})
    if program is None or number is None or (program, number) in known:
        return known.get((program, number))  # type: ignore[arg-type]
    terms = (await connection.execute(_TERMS, {"program": program, "version": number})).scalar_one_or_none()
    if terms is None:
        return None
    return known.setdefault((program, number), Terms.model_validate(terms))


async def zones(connection: AsyncConnection) -> dict[str, ZoneInfo]:
    """Return the time zone of every program, from its newest version."""
    rows = await connection.execute(_ZONES)
    return zones_of({row.program: row.timezone for row in rows})


def zones_of(names: Mapping[str, str]) -> dict[str, ZoneInfo]:
    """Return the time zones of programs from their names, as `ZONES` reads them."""
    return {program: calendar.zone(name) for program, name in names.items()}


async def publish(connection: AsyncConnection, source: str, *, by: str, at: datetime) -> Published:
    """Publish terms as the program's next version and wake the referrals that waited for terms.

    Publishing the newest version's text again changes nothing.

    Raises:
        TermsInvalid: with every problem in the terms.
        TermsNotPublishable: if the terms of a referral that is bound to an earlier version would change.
    """
    terms = load_terms(source)
    await lock(connection, Lock.PROGRAMS)
    table = ProgramVersion.__table__  # type: ignore[attr-defined]
    rows = (
        await connection.execute(
            select(table.c.version, table.c.source).where(table.c.program == terms.program).order_by(table.c.version)
        )
    ).all()
    if rows and _fingerprint(rows[-1].source) == _fingerprint(source):
        return Published(terms.program, rows[-1].version, repeated=True, released=0)
    bound = (await connection.execute(_BOUND, {"program": terms.program, "since": terms.effective_from})).one_or_none()
    if bound is not None:
        raise TermsNotPublishable(
            terms.program,
            f"effective_from {terms.effective_from.isoformat()} must be after {bound.began_at.isoformat()}, when"
            f" referral {bound.id} began, which is bound to version {bound.version}",
        )
    number = rows[-1].version + 1 if rows else 1
    await connection.execute(
        insert(ProgramVersion).values(
            program=terms.program,
            version=number,
            effective_from=terms.effective_from,
            terms=terms.canonical(),
            source=source,
            published_at=at,
            published_by=by,
        )
    )
    await audit.note(connection, actor=by, act="program.published", subject=terms.program, at=at, version=number)
    # Needed only for terms that pay in cycles: earlier versions that do already have their schedule.
    if isinstance(terms.payouts.timing, PayoutCycle):
        await outbox.enqueue(connection, WakeupKind.SCHEDULE_DUE, terms.program, cycle_program_id(terms.program))
    if rows and terms.limits.budget != (await version(connection, terms.program, rows[-1].version)).limits.budget:
        await carry_out(connection, terms.program, program_id(terms.program), at)
    released = (await connection.execute(_RELEASE, {"program": terms.program})).scalar_one()
    return Published(terms.program, number, repeated=False, released=int(released))


async def carry_out(connection: AsyncConnection, program: str, subject: UUID, at: datetime) -> None:
    """Have the program's referrals and payouts woken, because an act on it, the ``subject``, was decided."""
    await connection.execute(_DUE, {"program": program, "at": at})
    await outbox.enqueue(connection, WakeupKind.PROGRAM_DUE, program, subject)


class Version(NamedTuple):
    """A published version of a program's terms."""

    program: str
    version: int
    name: str
    effective_from: datetime
    published_at: datetime
    published_by: str


async def listing(connection: AsyncConnection) -> Sequence[Version]:
    """Return every version of every program."""
    return await typed_rows.read(connection, Version, _LISTING)


async def hold_known(connection: AsyncConnection, program: str | None) -> None:
    """For a list of nothing: whether it is empty because nobody knows the program that it was asked for.

    Raises:
        RequestInvalid: if no terms of it were published, and no referral names it.
    """
    if program and not (await connection.execute(_MENTIONED, {"program": program})).scalar_one():
        raise RequestInvalid(str(await unknown(connection, program)), "program")


async def unknown(connection: AsyncConnection, program: str) -> NotFound:
    """That nobody knows a program of this name, and which is the nearest."""
    known = (await connection.execute(_NAMES)).scalars().all()
    return NotFound("program", program, known)


async def shown(connection: AsyncConnection, program: str, version: int | None) -> str:
    """Return the YAML of a version as it was published; of the newest if no version is named.

    Raises:
        NotFound: if there is no such program or version.
    """
    source = (await connection.execute(_SOURCE, {"program": program, "version": version})).scalar_one_or_none()
    if source is None:
        if version is not None and await versions(connection, program):
            raise NotFound("version", f"{program} {version}")
        raise await unknown(connection, program)
    return str(source)


def _fingerprint(source: str) -> str:
    return hashlib.sha256(source.strip().encode()).hexdigest()


_NUMBERS: Final = text("SELECT version FROM program_version WHERE program = :program ORDER BY version")

_TERMS: Final = text("SELECT terms FROM program_version WHERE program = :program AND version = :version")

ZONES: Final = """
SELECT DISTINCT ON (program) program, terms->>'timezone' AS timezone FROM program_version
ORDER BY program, version DESC
"""
_ZONES: Final = text(ZONES)

_SOURCE: Final = text("""
SELECT source FROM program_version
WHERE program = :program AND (CAST(:version AS int) IS NULL OR version = :version) ORDER BY version DESC LIMIT 1
""")

_DUE: Final = text("""
INSERT INTO program_life AS l (program, told, due_at) VALUES (:program, 1, :at)
ON CONFLICT (program) DO UPDATE SET told = l.told + 1, due_at = excluded.due_at
""")

_MENTIONED: Final = text("""
SELECT EXISTS (SELECT 1 FROM program_version WHERE program = :program)
    OR EXISTS (SELECT 1 FROM referral WHERE program = :program)
""")

_NAMES: Final = text("SELECT DISTINCT program FROM program_version")

_LISTING: Final = text("""
SELECT program, version, terms->>'name' AS name, effective_from, published_at, published_by
FROM program_version ORDER BY program, version
""")

# A referral is bound to a version once it was judged by it, or could be: it has begun and a version was in force.
_BOUND: Final = text("""
SELECT r.id, r.began_at,
       (SELECT max(v.version) FROM program_version v
        WHERE v.program = r.program AND v.effective_from <= r.began_at) AS version
FROM referral r
WHERE r.program = :program AND r.parked IS NULL AND r.began_at >= CAST(:since AS timestamptz)
ORDER BY r.began_at LIMIT 1
""")

_RELEASE: Final = text(f"""
WITH released AS (
    UPDATE referral AS r SET parked = NULL, facts_version = facts_version + 1, told_at = now()
    WHERE r.program = :program AND r.parked = 'no_terms_in_force'
      AND EXISTS (SELECT 1 FROM program_version v WHERE v.program = r.program AND v.effective_from <= r.began_at)
    RETURNING r.id
), woken AS (
    {
    outbox.wakeups(
        WakeupKind.FACT,
        "id",
        outbox.newest_fact("released.id"),
        "FROM released",
        program=":program",
    )
}
)
SELECT count(*) FROM released
""")  # noqa: S608 (words of ours alone)
