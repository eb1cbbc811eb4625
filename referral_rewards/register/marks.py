"""Find the marks of a person: keyed hashes of the identities of referrers, customers and payees."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts import identity


async def of_payee(connection: AsyncConnection, payee: str) -> frozenset[str]:
    """Return a payee's marks: as a referrer from their enrolments, as a customer from their purchases."""
    asked = {"referrer": payee, "kinds": list(identity.IDENTITY_KINDS)}
    return frozenset((await connection.execute(_MARKS_OF_PAYEE, asked)).scalars())


async def of_referrer(connection: AsyncConnection, referrer: str | None) -> frozenset[str]:
    """Return the marks of a referrer's enrolments in every program, and of purchases by the same person."""
    asked = {"referrer": referrer, "kinds": list(identity.IDENTITY_KINDS)}
    return frozenset((await connection.execute(_MARKS_OF_REFERRER, asked)).scalars())


async def of_payees_of_cycle(connection: AsyncConnection, cycle: UUID) -> frozenset[str]:
    """Return the marks of all payees of a payout cycle, each as `of_payee` finds them."""
    asked = {"id": cycle, "kinds": list(identity.IDENTITY_KINDS)}
    return frozenset((await connection.execute(_MARKS_OF_PAYEES, asked)).scalars())


def _of(people: str) -> str:
    """Return a query for the marks of the enrolments of ``people``, a query for their ids as ``name``, and of purchases
    that share an identity mark with one of them."""
    return f"""
WITH person AS MATERIALIZED ({people}), enrolled AS MATERIALIZED (
    SELECT DISTINCT unnest(f.marks) AS mark
    FROM person CROSS JOIN (SELECT DISTINCT program FROM program_version) AS p
    CROSS JOIN LATERAL (
        SELECT fact_id FROM fact_key WHERE key = 'referrer:' || p.program || '/' || person.name OFFSET 0
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
"""  # noqa: S608 (queries of ours alone)


#: And the mark of each of them as a customer, with those of the purchases under it.
_AND_AS_CUSTOMERS: Final = """
UNION
SELECT 'customer:' || name FROM person
UNION
SELECT unnest(f.marks)
FROM person CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = 'customer:' || person.name OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
"""

OF_REFERRER: Final = _of("SELECT CAST(:referrer AS text) AS name")
_MARKS_OF_REFERRER: Final = text(OF_REFERRER)
_MARKS_OF_PAYEE: Final = text(OF_REFERRER + _AND_AS_CUSTOMERS)
_MARKS_OF_PAYEES: Final = text(
    _of("SELECT DISTINCT payee AS name FROM payout WHERE cycle_id = :id") + _AND_AS_CUSTOMERS
)
