"""Money that waits for people, on a desk in a test: a refused payout, a clawback case, a cycle with a frozen list."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.register.queue import projection as queue
from referral_rewards.register.referrals import rows as referrals
from tests.desk import Desk

CYCLE: Final = UUID(int=1)
CASE: Final = UUID(int=2)


async def stand(desk: Desk, referral: str) -> None:
    """Has an approved referral's payouts stand there, as their rail's answers and what followed would."""
    asked = {
        "cycle": CYCLE,
        "case": CASE,
        "referral": referral,
        "settled": payout_id(referral, "referrer"),
        "refused": payout_id(referral, "referee"),
    }
    async with desk.database.transaction() as connection:
        await referrals.hold(connection, referral)
        for statement in _STAND:
            await connection.execute(text(statement), {name: asked[name] for name in asked if f":{name}" in statement})
        await queue.keep(connection, referral)
        await queue.keep_cycle(connection, CYCLE)


_STAND: Final = (
    "UPDATE payout SET state = 'refused', why = 'the account is closed', first_sent_at = now(), key_used_at = now()"
    " WHERE id = :refused",
    "UPDATE payout SET state = 'settled', first_sent_at = now(), key_used_at = now(), settled_at = now(),"
    " provider_reference = 'ac-1' WHERE id = :settled",
    "INSERT INTO payout_step (payout_id, generation, at, act, state, why)"
    " SELECT id, 1, now(), 'answered', state, why FROM payout WHERE referral_id = :referral",
    "UPDATE leg SET state = 'paid' WHERE role = 'referrer' AND referral_id = :referral",
    "UPDATE referral SET status = 'paying' WHERE id = :referral",
    "INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, state, proposed_minor)"
    " SELECT id, gen_random_uuid(), :case, referral_id, now(), 'the order was refunded', 'open', 1000 FROM leg"
    " WHERE role = 'referrer' AND referral_id = :referral",
    "INSERT INTO payout_cycle (id, program, due_on, version, currency, state, turn, digest, summary, opened_at,"
    " frozen_at, updated_at) VALUES (:cycle, 'acme-friends', '2026-07-01', 1, 'USD', 'frozen', 0, 'd', CAST('"
    '{"totals": [{"rail": "account_credit", "currency": "USD", "payouts": 2, "legs": 3, "amount_minor": 123400}],'
    ' "carried": [{"why": "below_minimum", "currency": "USD", "legs": 1, "amount_minor": 500}]}'
    "' AS jsonb), now(), now(), now())",
)


#: SQL: all of a leg was taken back, or written off, in one clawback of which so much was recovered.
RECOVERED: Final = """
INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor, currency, recovered_minor,
                      body, body_hash, generation, provider_key, state, decision_id, created_at, updated_at)
SELECT gen_random_uuid(), gen_random_uuid(), l.id, pl.payout_id, l.referral_id, l.beneficiary, CAST(:kind AS text),
       l.amount_minor, l.currency, CAST(:recovered AS bigint), '{}', '', 1, gen_random_uuid(),
       CASE WHEN CAST(:recovered AS bigint) > 0 THEN 'reversed' ELSE 'written_off' END, gen_random_uuid(), now(), now()
FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live WHERE l.referral_id = :referral AND l.role = :role
"""
