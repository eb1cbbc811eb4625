"""Find the marks of a person: keyed hashes of the identities of referrers, customers and payees."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts import identity


async def of_payee(connection: AsyncConnection, payee: str) -> frozenset[str]:
    """Return a payee's marks: as a referrer from their enrolments, as a customer from their purchases."""
    own = f"customer:{payee}"
    asked = {"referrer": payee, "kinds": list(identity.IDENTITY_KINDS), "own": own}
    return frozenset({own, *(await connection.execute(_MARKS_OF_PAYEE, asked)).scalars()})


async def of_referrer(connection: AsyncConnection, referrer: str | None) -> frozenset[str]:
    """Return the marks of a referrer's enrolments in every program, and of purchases by the same person."""
    asked = {"referrer": referrer, "kinds": list(identity.IDENTITY_KINDS)}
    return frozenset((await connection.execute(_MARKS_OF_REFERRER, asked)).scalars())


async def of_payees_of_cycle(connection: AsyncConnection, cycle: UUID) -> frozenset[str]:
    """Return the marks of all payees of a payout cycle."""
    return frozenset((await connection.execute(_MARKS_OF_PAYEES, {"id": cycle})).scalars())


# The marks of a referrer's enrolments, and of the purchases that share an identity mark with one of them.
OF_REFERRER: Final = """
WITH enrolled AS MATERIALIZED (
    SELECT DISTINCT unnest(f.marks) AS mark
    FROM (SELECT DISTINCT program FROM program_version) AS p
    CROSS JOIN LATERAL (
        SELECT fact_id FROM fact_key WHERE key = 'referrer:' || p.program || '/' || CAST(:referrer AS text) OFFSET 0
    ) AS fk
    CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'referrer.enrolled' OFFSET 0) AS f
)
SELECT mark FROM enrolled
UNION
SELECT unnest(f.marks)
FROM enrolled
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = enrolled.mark OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
WHERE split_part(enrolled.mark, ':', 1) = ANY(CAST(:kinds AS text[]))
"""
_MARKS_OF_REFERRER: Final = text(OF_REFERRER)

# And of the purchases under their own id.
_OF_BUYER: Final = """
UNION
SELECT unnest(f.marks)
FROM (SELECT fact_id FROM fact_key WHERE key = :own OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
"""

_MARKS_OF_PAYEE: Final = text(OF_REFERRER + _OF_BUYER)

# The same as `of_payee`, for all payees of a cycle.
_MARKS_OF_PAYEES: Final = text("""
WITH payee AS MATERIALIZED (SELECT DISTINCT payee AS name FROM payout WHERE cycle_id = :id)
SELECT 'customer:' || name FROM payee
UNION
SELECT unnest(f.marks)
FROM payee CROSS JOIN (SELECT DISTINCT program FROM program_version) AS p
CROSS JOIN LATERAL (
    SELECT fact_id FROM fact_key WHERE key = 'referrer:' || p.program || '/' || payee.name OFFSET 0
) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'referrer.enrolled' OFFSET 0) AS f
UNION
SELECT unnest(f.marks)
FROM payee CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = 'customer:' || payee.name OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
""")
