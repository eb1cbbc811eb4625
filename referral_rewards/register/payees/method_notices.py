"""Plan the letters by which a payee is told that their payment method is another one, as soon as we hear of it.

They go to the addresses that were known before. One that came with the change, or within a day before it, would be told
only to whoever changed it; so only those count that we knew a day before, or as early as the payee's first method.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards import personal
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.notices.contact import NoticeState, Template
from referral_rewards.register.payees import emails
from referral_rewards.register.payees.emails import ADDRESS_MARK


async def plan(connection: AsyncConnection, facts: Sequence[str], at: datetime) -> None:
    """Plan a letter to each such address for each of these facts that gives its payee another destination, or none.

    A payee of whom none was recorded before is told nothing. The facts are linked already.
    """
    await connection.execute(_PLAN, {"facts": list(facts), "at": at})


async def address(connection: AsyncConnection, occasion: str) -> str | None:
    """Return the address that the letter of this occasion goes to; None if it was erased."""
    row = (await connection.execute(_ADDRESS, {"fact": occasion.rpartition(":")[2]})).one_or_none()
    return None if row is None else emails.of(FactType(row.type), personal.body_of(connection, row.id, row.sealed))


#: An occasion names the fact that changed the method, and the one that told the address.
_PLAN: Final = statement(
    f"""
WITH told AS MATERIALIZED (
    SELECT c.id AS change, m.*
    FROM fact c
    CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = 'payee:' || (c.data->>'payee') OFFSET 0) AS fk
    CROSS JOIN LATERAL (
        SELECT * FROM fact WHERE id = fk.fact_id AND type IN ('payee.method_set', 'payee.method_removed')
          AND received_at <= c.received_at OFFSET 0
    ) AS m
    WHERE c.id = ANY(CAST(:facts AS uuid[]))
), changed AS MATERIALIZED (
    SELECT c.id, c.data->>'payee' AS payee, c.received_at, (
        SELECT min(received_at) FROM told WHERE change = c.id AND type = 'payee.method_set'
    ) AS first_at
    FROM fact c LEFT JOIN LATERAL (
        SELECT type, data->>'reference' AS reference FROM told
        WHERE change = c.id AND id <> c.id AND data->>'rail' = c.data->>'rail'
          AND (occurred_at, source, event_id) < (c.occurred_at, c.source, c.event_id)
        ORDER BY occurred_at DESC, source DESC, event_id DESC LIMIT 1
    ) AS before ON true
    WHERE c.id = ANY(CAST(:facts AS uuid[]))
      AND (before.type, before.reference) IS DISTINCT FROM (c.type, c.data->>'reference')
      AND EXISTS (SELECT 1 FROM told WHERE change = c.id AND id <> c.id AND type = 'payee.method_set')
), listening AS MATERIALIZED (
    SELECT c.id AS change, r.id, r.program, r.referrer, r.status
    FROM changed c JOIN referral_key rk ON rk.key = 'payee:' || c.payee JOIN referral r ON r.id = rk.referral_id
), said AS (
    SELECT c.id AS change, f.id, f.received_at, ({ADDRESS_MARK}) AS address
    FROM changed c CROSS JOIN (SELECT DISTINCT program FROM program_version) AS its
    JOIN fact_key fk ON fk.key = 'referrer:' || its.program || '/' || c.payee
    JOIN fact f ON f.id = fk.fact_id AND f.type = 'referrer.enrolled'
    JOIN personal_data p ON p.subject_id = f.id AND p.sealed IS NOT NULL
    UNION ALL
    SELECT c.id, f.id, f.received_at, ({ADDRESS_MARK})
    FROM changed c JOIN listening l ON l.change = c.id JOIN referral_fact rf ON rf.referral_id = l.id
    JOIN fact f ON f.id = rf.fact_id AND f.type IN ('referral.sent', 'referral.claimed')
     AND f.data->'referee'->>'customer' = c.payee
    JOIN personal_data p ON p.subject_id = f.id AND p.sealed IS NOT NULL
), known AS (
    SELECT DISTINCT ON (s.change, s.address) s.change, s.id, c.payee
    FROM said s JOIN changed c ON c.id = s.change
    WHERE s.address IS NOT NULL AND s.received_at < c.received_at
      AND s.received_at <= greatest(c.received_at - interval '24 hours', c.first_at)
    ORDER BY s.change, s.address, s.received_at, s.id
)
INSERT INTO notice (id, referral_id, program, template, audience, recipient, channel, occasion, planned_at, state,
                    attempts, due_at)
SELECT CAST(md5('method_changed:' || k.change || ':' || k.id) AS uuid), r.id, r.program, :template,
       CASE WHEN r.referrer = k.payee THEN 'referrer' ELSE 'referee' END, k.payee, 'email',
       'method:' || k.change || ':' || k.id, CAST(:at AS timestamptz), :waiting, 0, CAST(:at AS timestamptz)
FROM known k CROSS JOIN LATERAL (
    SELECT * FROM listening l WHERE l.change = k.change
    ORDER BY l.status IS NULL, l.referrer IS DISTINCT FROM k.payee, l.id LIMIT 1
) AS r
ON CONFLICT DO NOTHING
""",  # noqa: S608 (words of ours alone)
    template=Template.METHOD_CHANGED,
    waiting=NoticeState.WAITING,
)

_ADDRESS: Final = text("""
SELECT f.id, f.type, p.sealed FROM fact f JOIN personal_data p ON p.subject_id = f.id
WHERE f.id = CAST(:fact AS uuid)
""")
