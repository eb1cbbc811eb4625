"""The versions of a program: which one is in force, and how many referrals began under each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.register import programs, typed_rows

#: Referrals are counted only up to this number.
COUNTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a program. ``referrals`` counts those that began under it; ``COUNTED_MAX`` + 1 means more."""

    program: str
    number: int
    terms: Terms
    source: str
    published_at: datetime
    published_by: str
    in_force: bool
    ends_at: datetime | None
    referrals: int


async def versions(connection: AsyncConnection, program: str, now: datetime) -> Sequence[Version]:
    """Return all versions of a program, newest first.

    Raises:
        NotFound: if there is no such program.
    """
    rows = await typed_rows.read(connection, _Published, _VERSIONS, {"program": program})
    if not rows:
        raise await programs.unknown(connection, program)
    known = dict(await programs.versions(connection, program))
    current = in_force(known.items(), now)
    return [await _version(connection, row, known, current) for row in rows]


@dataclass(frozen=True, slots=True)
class _Published:
    program: str
    version: int
    source: str
    published_at: datetime
    published_by: str


async def _version(
    connection: AsyncConnection, row: _Published, known: dict[int, Terms], current: tuple[int, Terms] | None
) -> Version:
    terms = known[row.version]
    # Of two versions that take effect at the same instant, the higher number is in force.
    later = [
        (each.effective_from, number)
        for number, each in known.items()
        if (each.effective_from, number) > (terms.effective_from, row.version)
    ]
    ends_at = min(later)[0] if later else None
    asked = {"program": row.program, "since": terms.effective_from, "until": ends_at, "limit": COUNTED_MAX + 1}
    return Version(
        program=row.program,
        number=row.version,
        terms=terms,
        source=row.source,
        published_at=row.published_at,
        published_by=row.published_by,
        in_force=current is not None and current[0] == row.version,
        ends_at=ends_at,
        referrals=int((await connection.execute(_BEGUN, asked)).scalar_one()),
    )


_VERSIONS: Final = text("""
SELECT program, version, source, published_at, published_by FROM program_version WHERE program = :program
ORDER BY version DESC
""")

_BEGUN: Final = text("""
SELECT count(*) FROM (
    SELECT 1 FROM referral WHERE program = :program AND began_at >= CAST(:since AS timestamptz)
      AND (CAST(:until AS timestamptz) IS NULL OR began_at < :until) LIMIT :limit
) AS begun
""")
