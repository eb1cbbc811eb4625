"""Maintain the queue entries of what belongs to no referral: parked facts, orders with a code, events not read.

Most orders belong to no referral, and nobody has to look at them. One with the code of a referrer as its coupon shows
that a claim may be missing. An entry stands for all that waits for the same thing, the terms of a program or the claims
of a code. Recording a fact adds it; the sweep, a minute later, removes it once its reason is gone.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.vendors.telling import Outcome

#: So long an event may wait for another one before a person hears of it.
PATIENCE_WITH_EVENTS: Final = timedelta(hours=1)
#: So many of what an entry stands for are counted.
COUNTED_MAX: Final = 1000


async def keep_orders(connection: AsyncConnection, keys: str, orders: str, codes: str) -> None:
    """Add the entries of codes that were used in orders of no referral. Called once the facts are linked.

    ``keys`` and ``orders`` pair the keys of coupons with the new orders that have them; ``codes`` are those of new
    enrolments, whose code older orders may have.
    """
    await connection.execute(_KEEP_ORDERS, {"keys": keys, "orders": orders, "codes": codes})


async def keep_waiting_events(connection: AsyncConnection, now: datetime) -> None:
    """Add the entries of sources whose events wait for others for longer than `PATIENCE_WITH_EVENTS`."""
    await connection.execute(_KEEP_WAITING, {"before": now - PATIENCE_WITH_EVENTS})


async def remove(connection: AsyncConnection, exception: str, subject: str) -> None:
    """Remove an entry that somebody set aside."""
    await connection.execute(_REMOVE, {"exception": exception, "subject": subject})


async def clear(connection: AsyncConnection) -> None:
    """Remove the entries whose reason is gone."""
    await connection.execute(_CLEAR)


# An order ``f`` with the coupon ``k`` of which no referral hears, and that nobody set aside.
_OF_NOBODY: Final = """NOT EXISTS (SELECT 1 FROM referral_key rk WHERE rk.key = 'order:' || (f.data->>'order') OFFSET 0)
  AND f.received_at > coalesce((
      SELECT max(at) FROM set_aside
      WHERE referral_id = '' AND exception = 'unlinked_order' AND subject = substr(k.key, 8)), '-infinity')"""
_UNLINKED: Final = f"""
SELECT f.data->>'order' AS order_id, f.occurred_at
FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type = 'conversion.recorded'
WHERE fk.key = k.key AND {_OF_NOBODY}"""  # noqa: S608 (a constant of ours)

# The events ``r`` of the source that an entry ``q`` is about, which nobody set aside since they were read.
_UNREAD: Final = spelled(
    f"""
SELECT r.read_at, e.event_id, r.why
FROM source_reading r JOIN source_event e ON e.id = r.event
WHERE r.source = q.subject AND r.outcome IN :stuck
  AND (r.outcome = :unreadable OR r.read_at < now() - interval '{PATIENCE_WITH_EVENTS.total_seconds():.0f} seconds')
  AND r.read_at > coalesce((
      SELECT max(at) FROM set_aside
      WHERE referral_id = '' AND exception = 'unread_event' AND subject = q.subject), '-infinity')""",  # noqa: S608
    stuck=(Outcome.WAITING, Outcome.UNREADABLE),
    unreadable=Outcome.UNREADABLE,
)

#: How much an entry ``q`` stands for that belongs to no referral, up to one more than `COUNTED_MAX`: referrals that
#: wait for terms, orders, or events; since when the first of them is there, and the newest orders or events.
COUNTED: Final = f"""
SELECT CAST(count(*) AS int) AS strays, min(at) AS strays_since,
       (array_agg(name ORDER BY at DESC, name) FILTER (WHERE name <> ''))[1:3] AS orders
FROM (
    (SELECT began_at AS at, '' AS name FROM referral
     WHERE q.exception = 'parked' AND q.referral_id = '' AND program = q.subject AND parked = 'no_terms_in_force'
       AND merged_into IS NULL
     LIMIT {COUNTED_MAX + 1})
    UNION ALL
    (SELECT occurred_at, order_id FROM (SELECT 'coupon:' || q.subject AS key) AS k CROSS JOIN LATERAL ({_UNLINKED}) AS u
     WHERE q.exception = 'unlinked_order' LIMIT {COUNTED_MAX + 1})
    UNION ALL
    (SELECT read_at, CONCAT(event_id, ': ', why) FROM ({_UNREAD}) AS u
     WHERE q.exception = 'unread_event' LIMIT {COUNTED_MAX + 1})
) AS its"""  # noqa: S608 (constants of ours)

# What waits for the terms of one program is one entry; facts of a referral that nothing began are one each. More facts
# bring an entry back that was set aside.
PARK: Final = """
INSERT INTO queue_entry AS q (referral_id, exception, subject, program, status, amount_minor, since)
SELECT DISTINCT CASE parked WHEN 'referral_unknown' THEN id ELSE '' END, 'parked',
       CASE parked WHEN 'referral_unknown' THEN '' ELSE program END, coalesce(program, ''), '', 0, now()
FROM raised WHERE parked IS NOT NULL AND merged_into IS NULL
ON CONFLICT (referral_id, exception, subject) DO UPDATE SET since = excluded.since WHERE q.referral_id <> ''"""

UNPARK: Final = """
DELETE FROM queue_entry q USING held JOIN raised USING (id)
WHERE held.parked = 'referral_unknown' AND raised.parked IS DISTINCT FROM held.parked
  AND q.referral_id = held.id AND q.exception = 'parked' AND q.subject = ''"""

#: The entry of a source, added ``:now`` if ``:parked``: an event of it can't be read.
PARK_EVENT: Final = """
INSERT INTO queue_entry (referral_id, exception, subject, program, status, amount_minor, since)
SELECT '', 'unread_event', :source, '', '', 0, CAST(:now AS timestamptz) WHERE CAST(:parked AS boolean)
ON CONFLICT DO NOTHING"""

_KEEP_WAITING: Final = text(
    spelled(
        """
INSERT INTO queue_entry (referral_id, exception, subject, program, status, amount_minor, since)
SELECT '', 'unread_event', r.source, '', '', 0, min(r.read_at)
FROM source_reading r
WHERE r.outcome = :waiting AND r.read_at < CAST(:before AS timestamptz)
  AND r.read_at > coalesce((SELECT max(s.at) FROM set_aside s
      WHERE s.referral_id = '' AND s.exception = 'unread_event' AND s.subject = r.source), '-infinity')
GROUP BY r.source
ON CONFLICT DO NOTHING
""",
        waiting=Outcome.WAITING,
    )
)

# Listed a day after the first order: until then its claim may be on the way. Of a code that many use only the new
# orders are looked at.
_KEEP_ORDERS: Final = text(f"""
WITH told AS MATERIALIZED (
    SELECT key, fact_id FROM unnest(CAST(:keys AS text[]), CAST(:orders AS uuid[])) AS t(key, fact_id)
    UNION
    SELECT c.key, fk.fact_id FROM unnest(CAST(:codes AS text[])) AS c(key)
    CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = c.key OFFSET 0) AS fk
), unlinked AS MATERIALIZED (
    SELECT k.key, min(f.occurred_at) AS since
    FROM told AS k
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE id = k.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
    WHERE {_OF_NOBODY}
    GROUP BY k.key
)
INSERT INTO queue_entry AS q (referral_id, exception, subject, program, status, referrer, amount_minor, since)
SELECT '', 'unlinked_order', substr(u.key, 8), owner.program, '', owner.referrer, 0, u.since + interval '1 day'
FROM unlinked AS u
CROSS JOIN LATERAL (
    SELECT min(f.data->>'program') AS program,
           CASE WHEN count(DISTINCT f.data->>'referrer') = 1 THEN min(f.data->>'referrer') END AS referrer
    FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type = 'referrer.enrolled'
    WHERE fk.key = u.key HAVING count(*) > 0
) AS owner
ON CONFLICT (referral_id, exception, subject) DO UPDATE
SET program = excluded.program, referrer = excluded.referrer, since = least(q.since, excluded.since)
WHERE (q.program, q.referrer) IS DISTINCT FROM (excluded.program, excluded.referrer) OR excluded.since < q.since
""")  # noqa: S608 (constants of ours)

_REMOVE: Final = text(
    "DELETE FROM queue_entry WHERE referral_id = '' AND exception = :exception AND subject = :subject"
)

_CLEAR: Final = text(f"""
DELETE FROM queue_entry q
WHERE q.referral_id = '' AND (
    (q.exception = 'parked' AND NOT EXISTS (
        SELECT 1 FROM referral
        WHERE program = q.subject AND parked = 'no_terms_in_force' AND merged_into IS NULL OFFSET 0))
    OR (q.exception = 'unlinked_order' AND NOT EXISTS (
        SELECT 1 FROM (SELECT 'coupon:' || q.subject AS key) AS k CROSS JOIN LATERAL ({_UNLINKED}) AS u))
    OR (q.exception = 'unread_event' AND NOT EXISTS ({_UNREAD})))
""")  # noqa: S608 (constants of ours)
