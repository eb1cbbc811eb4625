"""Who and what stands behind the figures of a period: flagged claims with where they stand now, and the referrers and
partners who brought most. All are as of the last time that each referral was measured, some seconds ago."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import Figure
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import typed_rows


class Flagged(NamedTuple):
    """So many claims first had the flag in the period, and stand there now."""

    flag: str
    status: ReferralStatus
    claims: int


class Brought(NamedTuple):
    """Of one name: how many of its referrals were rewarded in the period, and one amount of a figure."""

    name: str
    rewarded: int
    figure: Figure
    currency: str
    amount: int


async def flagged(connection: AsyncConnection, program: str, days: Days) -> Sequence[Flagged]:
    """Return the flags that claims first had in the period, and where these claims stand now."""
    asked = {"program": program, "start": days.start, "end": days.end, "flagged": Figure.FLAGGED}
    return await typed_rows.read(connection, Flagged, _FLAGGED, asked)


async def referrers(connection: AsyncConnection, program: str, days: Days, limit: int) -> Sequence[Brought]:
    """Return the referrers with the most rewarded referrals in the period, each with its amounts, the first first."""
    return await typed_rows.read(connection, Brought, _REFERRERS, _asked(program, days, limit))


async def partners(connection: AsyncConnection, program: str, days: Days, limit: int) -> Sequence[Brought]:
    """Return the same of partners: of all referrers whom an enrolment ever named as theirs."""
    return await typed_rows.read(connection, Brought, _PARTNERS, _asked(program, days, limit))


def _asked(program: str, days: Days, limit: int) -> dict[str, object]:
    return {
        "program": program,
        "start": days.start,
        "end": days.end,
        "figures": [Figure.REWARDED.value, Figure.SETTLED.value, Figure.TAKEN_BACK.value],
        "rewarded": Figure.REWARDED.value,
        "limit": limit,
    }


_WITHIN: Final = """(CAST(:start AS date) IS NULL OR m.day >= CAST(:start AS date))
  AND (CAST(:end AS date) IS NULL OR m.day < CAST(:end AS date))"""

_FLAGGED: Final = text(f"""
SELECT m.part AS flag, r.status, count(DISTINCT m.referral_id) AS claims
FROM measured_contribution m JOIN referral r ON r.id = m.referral_id
WHERE m.program = :program AND m.figure = :flagged AND {_WITHIN}
GROUP BY m.part, r.status ORDER BY m.part, r.status
""")  # noqa: S608 (words of ours)

_MOST: Final = """, most AS (
    SELECT name, CAST(sum(n) AS bigint) AS rewarded FROM added WHERE figure = :rewarded
    GROUP BY name ORDER BY rewarded DESC, name LIMIT :limit
)
SELECT name, most.rewarded, added.figure, added.currency, CAST(added.amount AS bigint) AS amount
FROM most JOIN added USING (name) ORDER BY most.rewarded DESC, name, added.figure, added.currency
"""

_REFERRERS: Final = text(f"""
WITH added AS (
    SELECT r.referrer AS name, m.figure, m.currency, sum(m.n) AS n, sum(m.amount) AS amount
    FROM measured_contribution m JOIN referral r ON r.id = m.referral_id
    WHERE m.program = :program AND m.figure = ANY(CAST(:figures AS text[])) AND {_WITHIN} AND r.referrer IS NOT NULL
    GROUP BY r.referrer, m.figure, m.currency
){_MOST}""")  # noqa: S608 (words of ours)

_PARTNERS: Final = text(f"""
WITH its AS (
    SELECT DISTINCT data->>'partner' AS name, data->>'referrer' AS referrer FROM fact
    WHERE type = 'referrer.enrolled' AND data ? 'partner' AND data->>'program' = :program
), added AS (
    SELECT its.name, m.figure, m.currency, sum(m.n) AS n, sum(m.amount) AS amount
    FROM its JOIN referral r ON r.program = :program AND r.referrer = its.referrer
    JOIN measured_contribution m ON m.referral_id = r.id
    WHERE m.program = :program AND m.figure = ANY(CAST(:figures AS text[])) AND {_WITHIN}
    GROUP BY its.name, m.figure, m.currency
){_MOST}""")  # noqa: S608 (words of ours)
