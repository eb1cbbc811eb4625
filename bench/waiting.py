"""Copies one claim that waits for approval many times, set by set.

Each copy has its own referral row, claim and queue entry, and links to the same facts. The copies differ in the fields
that a search filters by: program, referrer, customer, order, flags, routes, amount and age. They are only searched and
viewed, never decided.
"""

from collections.abc import Callable
from typing import Final

import psycopg

from bench.past import SETTINGS, write

#: One claim in this many has the rare flag.
RARE_EVERY: Final = 5_000


def name(number: int) -> str:
    """Return the id of the ``number``-th copy."""
    return f"w{number:07}"


async def fill(url: str, template: str, count: int, say: Callable[[str], None] = lambda line: None) -> None:
    """Fill a register (``postgresql://…``) in which the referral ``template`` waits. Needs a superuser."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for setting in SETTINGS:
            await connection.execute(setting.encode())
        given = {"template": template, "count": count, "rare_every": RARE_EVERY}
        statements = {what: statement.format(**given) for what, statement in _STATEMENTS.items()}
        await write(connection, statements, _FILLED, say)


_FILLED: Final = ("referral", "referral_key", "referral_fact", "referral_step", "reward_claim", "queue_entry")

# Of a hundred claims, ninety have no flags; the others are flagged in one of three ways.
_WAITING: Final = """
CREATE TEMP TABLE waiting AS
SELECT i, 'w' || lpad(i::text, 7, '0') AS id, md5('waits ' || i)::uuid AS claim_id,
       CASE WHEN i % 10 < 8 THEN r.program ELSE 'side-' || i % 3 END AS program,
       CASE WHEN i % 100 = 0 THEN 'whale' ELSE 'shoal-' || i / 10 END AS referrer,
       'c-w' || i AS customer, 'o-w' || i AS order_id,
       CASE WHEN i % {rare_every} = 7 THEN '{{"partner_exception"}}'::text[]
            WHEN i % 100 < 6 THEN '{{"fraud_suspected"}}' WHEN i % 100 < 10 THEN '{{"duplicate_claim"}}'
            ELSE '{{}}' END AS flags,
       CASE WHEN i % 100 < 10 THEN '{{"finance", "operations"}}'::text[] ELSE '{{"program_owner"}}' END AS routes,
       100 + (i::bigint * 7919) % 50000 AS amount_minor,
       r.began_at - ({count} - i) * interval '20 seconds' AS began_at
FROM generate_series(0, {count} - 1) AS i CROSS JOIN referral r WHERE r.id = '{template}'
"""

_REFERRALS: Final = """
INSERT INTO referral
SELECT (jsonb_populate_record(r, jsonb_build_object(
    'id', w.id, 'claim_id', w.claim_id, 'program', w.program, 'referrer', w.referrer, 'order_id', w.order_id,
    'began_at', w.began_at, 'origin_event', w.id))).*
FROM waiting w CROSS JOIN referral r WHERE r.id = '{template}'
"""

_CLAIMS: Final = """
INSERT INTO reward_claim (id, referral_id, round, digest, core_digest, body, facts_version, referrer, approved_rewards,
                          assembled_at)
SELECT w.claim_id, w.id, 1, named.digest, named.digest,
       c.body || jsonb_build_object('referral', w.id, 'digest', named.digest), 1, w.referrer, 0, w.began_at
FROM waiting w CROSS JOIN LATERAL (SELECT encode(sha256(uuid_send(w.claim_id)), 'hex') AS digest) AS named
CROSS JOIN referral r JOIN reward_claim c ON c.id = r.claim_id WHERE r.id = '{template}'
"""

_KEYS: Final = """
INSERT INTO referral_key (key, referral_id)
SELECT unnest(ARRAY['referral:' || id, 'customer:' || customer, 'order:' || order_id]), id FROM waiting
"""

_LINKS: Final = """
INSERT INTO referral_fact (referral_id, fact_id, version)
SELECT w.id, rf.fact_id, rf.version FROM waiting w CROSS JOIN referral_fact rf WHERE rf.referral_id = '{template}'
"""

_STEPS: Final = """
INSERT INTO referral_step (referral_id, at, status, reason, facts_version)
SELECT w.id, w.began_at, s.status, s.reason, s.facts_version
FROM waiting w CROSS JOIN referral_step s WHERE s.referral_id = '{template}'
"""

_ENTRIES: Final = """
INSERT INTO queue_entry (referral_id, exception, subject, program, status, referrer, customer, order_id, recommendation,
                         flags, routes, amount_minor, currency, since, remind_at, escalate_at)
SELECT id, 'approval', '', program, 'awaiting_approval', referrer, customer, order_id,
       CASE WHEN 'duplicate_claim' = ANY(flags) THEN 'deny' WHEN flags = '{{}}' THEN 'approve' ELSE 'review' END,
       flags, routes, amount_minor, 'USD', began_at, began_at + interval '3 days', began_at + interval '7 days'
FROM waiting
"""

_STATEMENTS: Final = {
    "what waits": _WAITING,
    "referrals": _REFERRALS,
    "claims": _CLAIMS,
    "keys": _KEYS,
    "links": _LINKS,
    "steps": _STEPS,
    "entries": _ENTRIES,
}
