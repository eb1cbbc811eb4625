"""Rows of a long past for finance's lists: as many payouts, rewards, referrals and entries as are asked for."""

from datetime import datetime
from typing import Final

import psycopg

#: How far apart the rows are dated, the newest at ``now``; each has one of three states, programs and rails.
_ROWS: Final = (
    """
INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, referrer, facts_version,
                      judged_version, round, status, claim_version, late_facts, order_id, net_minor, currency)
SELECT 'r' || lpad(n::text, 8, '0'), 0, %(now)s - n * interval '1 minute', 't', n::text, 'program-' || n %% 3,
       'referrer-' || n %% 1000, 1, 1, 0, (ARRAY['rewarded', 'denied', 'invited'])[1 + n %% 3], 1, 0, 'o' || n,
       CASE WHEN n %% 3 = 0 THEN n END, CASE WHEN n %% 3 = 0 THEN 'USD' END
FROM generate_series(1, %(size)s) AS n
""",
    """
INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor,
                 currency, rail, state, approved_at)
SELECT gen_random_uuid(), 'r' || lpad(n::text, 8, '0'), gen_random_uuid(), '', 'program-' || n %% 3, 'x', 'o' || n,
       'referrer', 'payee-' || lpad((n %% 5000)::text, 5, '0'), 'cash', 100 + n, 'USD', 'manual', 'paid',
       %(now)s - n * interval '1 minute'
FROM generate_series(1, %(size)s) AS n
""",
    """
INSERT INTO payout (id, referral_id, payee, rail, amount_minor, currency, body, body_hash, generation, provider_key,
                    state, updated_at, created_at)
SELECT id, referral_id, beneficiary, (ARRAY['manual', 'tremendous', 'account_credit'])[1 + amount_minor %% 3],
       amount_minor, (ARRAY['USD', 'EUR'])[1 + amount_minor %% 2], jsonb_build_object('program', program), '', 1,
       id::text, CASE WHEN amount_minor %% 500 = 0 THEN 'refused' ELSE 'settled' END, approved_at, approved_at
FROM leg
""",
    "INSERT INTO payout_leg (payout_id, leg_id, live) SELECT id, id, true FROM leg",
    """
INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
SELECT id, CASE WHEN amount_minor %% 700 = 0 THEN 'written_off:' ELSE 'accrued:' END || id, '', approved_at, program,
       referral_id
FROM leg
""",
    """
INSERT INTO posting (transaction_id, account, amount_minor, currency)
SELECT id, account, minor, currency
FROM leg CROSS JOIN LATERAL (VALUES ('payable:' || beneficiary, -amount_minor), ('expense:' || program, amount_minor))
     AS line(account, minor)
""",
    """
INSERT INTO payout_step (payout_id, generation, at, act, state)
SELECT id, 1, created_at, step.act, step.state FROM payout CROSS JOIN LATERAL (
    VALUES ('planned', 'approved'), ('moved', 'sending'), ('moved', payout.state)) AS step(act, state)
""",
    """
INSERT INTO audit_event (at, actor, act, subject, details)
SELECT %(now)s - n * interval '1 minute', 'user-' || n %% 7, (ARRAY['session.begun', 'decision.recorded'])[1 + n %% 2],
       'r' || n, '{}'
FROM generate_series(1, %(size)s) AS n
""",
)


#: The tables that have them.
FILLED: Final = frozenset(
    {"referral", "leg", "payout", "payout_leg", "ledger_transaction", "posting", "payout_step", "audit_event"}
)


async def fill(url: str, size: int, now: datetime) -> None:
    """Write so many rows of each kind, the newest dated a minute before ``now``."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        # A trigger for each of so many rows would keep one and the same total.
        await connection.execute(b"SET session_replication_role = replica")
        for statement in _ROWS:
            await connection.execute(statement.encode(), {"size": size, "now": now})
        await connection.execute(b"VACUUM ANALYZE")
