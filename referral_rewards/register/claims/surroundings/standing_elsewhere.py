"""Find out whether the referrer is suspended under another id or in another program."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.keys import ENROLMENT_KINDS, enrolment_trace
from referral_rewards.domain.facts.payloads import FactType

#: More than there ever are: enrolments that share a mark, suspensions of one referrer, programs of a company.
_MAX: Final = 200


async def barred(connection: AsyncConnection, gathered: Dossier) -> int | None:
    """Count the referrer's other enrolments, by id or by a shared mark, that are suspended now; None if unknown."""
    traces = sorted(map(enrolment_trace, identity.of_kinds(gathered.referrer_marks, ENROLMENT_KINDS)))
    found = (await connection.execute(_ENROLMENTS, {"traces": traces, "bound": _MAX})).all()
    programs = list((await connection.execute(_PROGRAMS, {"bound": _MAX})).scalars())
    who = {(row.program, row.referrer) for row in found if row.type == FactType.REFERRER_ENROLLED}
    who |= {(program, gathered.referrer) for program in programs if gathered.referrer}
    who.discard((gathered.origin.program, gathered.referrer))
    keys = sorted(f"referrer:{program}/{referrer}" for program, referrer in who)
    told = (await connection.execute(_STANDINGS, {"keys": keys, "bound": _MAX})).all() if keys else ()
    latest: dict[str, tuple[datetime, bool]] = {}
    for row in told:
        if row.type in _STANDING_TYPES and row.occurred_at <= gathered.now:
            # At the same instant a suspension wins, as it does for the referrer's standing in this program.
            word = (row.occurred_at, row.type == FactType.REFERRER_SUSPENDED)
            latest[row.key] = max(latest.get(row.key, word), word)
    suspended = sum(is_suspended for _, is_suspended in latest.values())
    whole = len(programs) < _MAX and all(row.seen < _MAX for row in (*found, *told))
    return suspended if suspended or whole else None


_STANDING_TYPES: Final = frozenset({FactType.REFERRER_SUSPENDED, FactType.REFERRER_REINSTATED})

_ENROLMENTS: Final = text("""
SELECT f.type, f.data->>'program' AS program, f.data->>'referrer' AS referrer,
       count(*) OVER (PARTITION BY t.key) AS seen
FROM unnest(CAST(:traces AS text[])) AS t(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = t.key ORDER BY fact_id LIMIT :bound) AS fk
CROSS JOIN LATERAL (SELECT type, data FROM fact WHERE id = fk.fact_id OFFSET 0) AS f
""")

_PROGRAMS: Final = text("SELECT DISTINCT program FROM program_version ORDER BY program LIMIT :bound")

_STANDINGS: Final = text("""
SELECT k.key, f.type, f.occurred_at, count(*) OVER (PARTITION BY k.key) AS seen
FROM unnest(CAST(:keys AS text[])) AS k(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = k.key ORDER BY fact_id LIMIT :bound) AS fk
CROSS JOIN LATERAL (SELECT type, occurred_at FROM fact WHERE id = fk.fact_id OFFSET 0) AS f
""")
