"""The outcome of a past's conversions: claims, decisions, legs, payouts and the books, in SQL only.

Reads the table ``life`` that `bench.past` created, and what `bench.past_facts` wrote. Claims have a brief body here and
decisions are not signed, because judging a referral reads neither of another referral.
"""

from typing import Final

_CLAIMS: Final = """
INSERT INTO reward_claim (id, referral_id, round, digest, core_digest, body, facts_version, referrer, approved_rewards,
                          assembled_at)
SELECT claim_id, id, 1, digest, digest,
       jsonb_build_object('referral', id, 'digest', digest, 'recommendation', 'approve', 'flags', '[]'::jsonb,
                          'legs', '[]'::jsonb,
                          'requirement', '{"routes": ["program_owner"], "people": 1}'::jsonb),
       facts_version, referrer, 0, began_at + interval '18 days'
FROM referral CROSS JOIN LATERAL (SELECT encode(sha256(uuid_send(claim_id)), 'hex') AS digest) AS named
WHERE claim_id IS NOT NULL
"""

_DECISIONS: Final = """
INSERT INTO decision (seq, id, referral_id, claim_id, digest, kind, username, roles, reason, note_commitment,
                      decided_at, previous_hash, hash, key_id, signature)
SELECT seq, md5('decision ' || id)::uuid, id, claim_id, encode(sha256(uuid_send(claim_id)), 'hex'), kind, 'somebody',
       ARRAY['program_owner'], CASE kind WHEN 'deny' THEN 'fraud' ELSE 'terms_met' END, md5(id),
       began_at + interval '19 days',
       CASE seq WHEN 1 THEN repeat('0', 64) ELSE encode(sha256(int8send(seq - 1)), 'hex') END,
       encode(sha256(int8send(seq)), 'hex'), 'past', md5(id)
FROM (
    SELECT *, row_number() OVER (ORDER BY began_at, id) AS seq,
           CASE status WHEN 'denied' THEN 'deny' ELSE 'approve' END AS kind
    FROM referral WHERE claim_id IS NOT NULL AND status <> 'awaiting_approval'
) AS decided
"""

_HEAD: Final = """
INSERT INTO decision_head (id, seq, hash, key_id, signature)
SELECT 1, seq, hash, 'past', 'past' FROM decision ORDER BY seq DESC LIMIT 1
"""

_EFFECTS: Final = """
INSERT INTO decision_effect (decision_id, effect, at, why)
SELECT id, 'applied', decided_at, 'reserved' FROM decision WHERE kind = 'approve'
"""

_LEGS: Final = """
INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor,
                 currency, rail, state, approved_at, decisions)
SELECT md5('leg ' || role || id)::uuid, id, claim_id, encode(sha256(uuid_send(claim_id)), 'hex'), program, referrer,
       order_id, role, CASE role WHEN 'referrer' THEN referrer ELSE customer END, 'credit',
       CASE role WHEN 'referrer' THEN 2500 ELSE 800 END, 'USD', 'account_credit', 'paid', began_at + interval '19 days',
       ARRAY[md5('decision ' || id)::uuid::text]
FROM referral JOIN (SELECT id, customer FROM life) AS l USING (id)
CROSS JOIN (VALUES ('referrer'), ('referee')) AS side(role)
WHERE status = 'rewarded'
"""

_TOTALS: Final = """
INSERT INTO held_total (program, referrer, rewards, amount_minor)
SELECT program, '', count(*), sum(amount_minor) FROM leg GROUP BY 1
UNION ALL
SELECT program, referrer, count(*), sum(amount_minor) FROM leg WHERE role = 'referrer' GROUP BY 1, 2
"""

_PAYOUTS: Final = """
INSERT INTO payout (id, referral_id, payee, rail, amount_minor, currency, body, body_hash, generation, provider_key,
                    first_sent_at, provider_reference, state, updated_at)
SELECT id, referral_id, beneficiary, rail, amount_minor, currency,
       jsonb_build_object('payee', beneficiary, 'amount_minor', amount_minor), digest, 1, id || '/1', approved_at,
       'reference ' || id, 'settled', approved_at
FROM leg
"""

_PAYOUT_STEPS: Final = """
INSERT INTO payout_step (payout_id, generation, at, act, state, reference)
SELECT p.id, 1, p.updated_at, act, step.state, CASE step.state WHEN 'settled' THEN p.provider_reference END
FROM payout p CROSS JOIN (
    VALUES ('planned', 'approved'), ('moved', 'sending'), ('sent', 'sending'), ('moved', 'settled')
) AS step(act, state)
"""

_PAYOUT_LEGS: Final = "INSERT INTO payout_leg (payout_id, leg_id, live) SELECT id, id, true FROM leg"

_BOOKS: Final = """
INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
SELECT md5(event || id)::uuid, event || ':' || id, event, approved_at, program, referral_id
FROM leg CROSS JOIN (VALUES ('accrued'), ('settled')) AS booked(event)
"""

_POSTINGS: Final = """
INSERT INTO posting (transaction_id, account, amount_minor, currency)
SELECT md5(event || id)::uuid, account, sign * amount_minor, currency
FROM leg CROSS JOIN LATERAL (
    VALUES ('accrued', 'expense:' || program, 1), ('accrued', 'payable:' || beneficiary, -1),
           ('settled', 'payable:' || beneficiary, 1), ('settled', 'clearing:' || rail, -1)
) AS line(event, account, sign)
"""

#: The statements by what they write, in order.
STATEMENTS: Final = {
    "claims": _CLAIMS,
    "decisions": _DECISIONS,
    "the end of the chain": _HEAD,
    "effects": _EFFECTS,
    "legs": _LEGS,
    "totals": _TOTALS,
    "payouts": _PAYOUTS,
    "the lives of payouts": _PAYOUT_STEPS,
    "payouts of legs": _PAYOUT_LEGS,
    "the books": _BOOKS,
    "postings": _POSTINGS,
}
