"""What a decision on a claim names: a referrer to move it to, or an order to link. Each is read in one statement."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.moving import Candidate, OrderFound
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.origin import referee_identity
from referral_rewards.register import marks


async def candidate(connection: AsyncConnection, case: Case, referrer: str) -> Candidate:
    """Return a referrer to whom the claim could be moved, as the register knows him; he may be no one.

    Without a conversion it is enough that he is enrolled by now.
    """
    q = case.course.conversion
    asked = {
        "referrer": referrer,
        "kinds": list(identity.IDENTITY_KINDS),
        "key": f"referrer:{case.origin.program}/{referrer}",
        "before": q.occurred_at if q is not None else case.now,
    }
    found = (await connection.execute(_CANDIDATE, asked)).one()
    return Candidate(referrer, found.enrolled, frozenset({f"customer:{referrer}", *found.marks}))


async def order(connection: AsyncConnection, case: Case, name: OrderName) -> OrderFound:
    """Return an order that could be linked, as the register knows it; there may be none."""
    found = (await connection.execute(_ORDER, {"key": f"order:{name.id}", "store": name.store})).one()
    own = conversions(case.facts, referee_identity(case.facts, case.now), case.terms, case.acts.orders)
    heard = any(each.which.is_named(name) for each in own)
    return OrderFound(name, found.known, heard, frozenset(found.marks), tuple(found.stores))


_CANDIDATE: Final = text(f"""
SELECT ARRAY({marks.OF_REFERRER}) AS marks, EXISTS (
    SELECT 1 FROM (SELECT fact_id FROM fact_key WHERE key = :key OFFSET 0) AS fk
    CROSS JOIN LATERAL (
        SELECT occurred_at FROM fact WHERE id = fk.fact_id AND type = 'referrer.enrolled' OFFSET 0
    ) AS f
    WHERE f.occurred_at <= :before
) AS enrolled
""")  # noqa: S608 (words of ours alone)

_ORDER: Final = text("""
WITH recorded AS (
    SELECT f.marks, f.store
    FROM (SELECT fact_id FROM fact_key WHERE key = :key OFFSET 0) AS fk
    CROSS JOIN LATERAL (
        SELECT marks, data->>'store' AS store FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0
    ) AS f
), its AS (
    SELECT marks FROM recorded
    WHERE store IS NULL OR CAST(:store AS text) IS NULL OR store = CAST(:store AS text)
)
SELECT EXISTS (SELECT 1 FROM its) AS known, ARRAY(SELECT DISTINCT unnest(marks) FROM its) AS marks,
       ARRAY(SELECT DISTINCT store FROM recorded WHERE store IS NOT NULL ORDER BY store) AS stores
""")
