"""Find circles of people who refer each other: follow who referred each referrer until the referee appears."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.facts import identity
from referral_rewards.register import typed_rows
from referral_rewards.register.claims.surroundings.plaintext import until

#: The bounds of each step: referrals examined and referrers followed. Above them a mark is shared by too many people.
_REFERRALS_MAX, _REFERRERS_MAX = 1000, 200
#: More enrolments and suspensions than one referrer can have.
_STANDINGS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Circle:
    """The lengths of the circles found, and the length up to which the search was complete."""

    found: frozenset[int]
    searched_to: int

    def has(self, length: int) -> bool | None:
        """Return whether there is a circle of that length; None if unknown."""
        return True if length in self.found else False if length <= self.searched_to else None

    def shortest_of(self, *lengths: int) -> int | None:
        """Return the shortest found of these lengths; 0 if there is none, None if unknown."""
        return min(self.found.intersection(lengths), default=0 if max(lengths) <= self.searched_to else None)


async def pair(connection: AsyncConnection, gathered: Dossier) -> Circle:
    """Search for a circle of two: whether the referee referred the referrer."""
    return await _circle(connection, gathered, 2)


async def beyond_a_pair(connection: AsyncConnection, gathered: Dossier) -> Circle:
    """Search for circles of two, three and four people through this referral."""
    return await _circle(connection, gathered, 4)


async def _circle(connection: AsyncConnection, gathered: Dossier, longest: int) -> Circle:
    referee = gathered.referee_identity
    referrer = identity.of_kinds(gathered.referrer_marks, identity.IDENTITY_KINDS)
    found: set[int] = set()
    searched_to, whole = 1, True
    marks, known = referrer, {(gathered.origin.program, gathered.referrer)}
    for length in range(2, longest + 1):
        rows = await _invited_by(connection, marks, until(gathered))
        named = ((row.program, row.referrer) for row in rows)
        # A referral of no program has a referrer whom no enrolment names.
        inviters = {(program, referrer) for program, referrer in named if program and referrer} - known
        people, all_told = await _people(connection, sorted(inviters)[:_REFERRERS_MAX])
        # Self-referral has its own check and does not count as a circle.
        people = [person for person in people if not person & referrer]
        if any(person & referee for person in people):
            found.add(length)
        whole = whole and all_told and len(rows) < _REFERRALS_MAX and len(inviters) <= _REFERRERS_MAX
        searched_to = length if whole else searched_to
        known |= inviters
        marks = frozenset().union(*(person for person in people if not person & referee))
    return Circle(frozenset(found), searched_to)


class _Inviter(NamedTuple):
    program: str | None
    referrer: str | None


async def _invited_by(connection: AsyncConnection, marks: frozenset[str], last: datetime) -> Sequence[_Inviter]:
    """Return who invited the people with these marks up to then: program and referrer, also unknown ones."""
    asked = {"marks": sorted(marks), "until": last, "bound": _REFERRALS_MAX}
    return await typed_rows.read(connection, _Inviter, _INVITED_BY, asked) if marks else ()


async def _people(connection: AsyncConnection, referrers: list[tuple[str, str]]) -> tuple[list[frozenset[str]], bool]:
    """Return the marks of these referrers' enrolments, one set for each, and whether all enrolments were read."""
    if not referrers:
        return [], True
    keys = [f"referrer:{program}/{referrer}" for program, referrer in referrers]
    marks: dict[str, set[str]] = {key: set() for key in keys}
    standings = dict.fromkeys(keys, 0)
    for row in await connection.execute(_STANDINGS, {"keys": keys, "bound": _STANDINGS_MAX}):
        standings[row.key] += 1
        marks[row.key] |= identity.of_kinds(row.marks, identity.IDENTITY_KINDS)
    return [frozenset(each) for each in marks.values()], max(standings.values(), default=0) < _STANDINGS_MAX


_INVITED_BY: Final = text("""
WITH invited AS MATERIALIZED (
    SELECT rk.referral_id
    FROM unnest(CAST(:marks AS text[])) AS m(key)
    CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = m.key OFFSET 0) AS rk
    LIMIT :bound
)
SELECT r.program, r.referrer
FROM invited LEFT JOIN LATERAL (
    SELECT program, coalesce(moved_to, referrer) AS referrer FROM referral
    WHERE id = invited.referral_id AND merged_into IS NULL AND began_at <= :until OFFSET 0
) AS r ON true
""")

_STANDINGS: Final = text("""
SELECT k.key, f.marks
FROM unnest(CAST(:keys AS text[])) AS k(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = k.key ORDER BY fact_id LIMIT :bound) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id OFFSET 0) AS f
""")
