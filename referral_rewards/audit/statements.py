"""The audit's statements: its own, so that it finds what the register's would leave out."""

from typing import Final

from sqlalchemy import text

from referral_rewards.audit.erased import ERASED

#: A page of paid rewards by their legs' ids. What was paid is read from the history of payments, not from a status:
#: the last step of a leg's last payout stands at ``:settled``. A provider that shut us out (``:shut_out``) saw
#: nothing of what was sent before.
REWARDS: Final = text("""
SELECT l.id AS leg, l.referral_id AS referral, l.role, l.program, l.referrer, l.order_key AS "order", l.beneficiary,
       l.kind, l.amount_minor, l.currency, l.claim_id, l.digest, l.decisions, l.approved_at, paid.payout_id AS payout,
       sent.at AS committed_at, sent.position, sent.sight, (
           SELECT min(p.id) FROM ledger_transaction a JOIN posting p ON p.transaction_id = a.id
           WHERE a.key = 'accrued:' || CAST(l.id AS text)
       ) AS reserved, paid.settled_at
FROM leg l CROSS JOIN LATERAL (
    SELECT pl.payout_id, last.generation, (
        SELECT min(s.at) FROM payout_step s
        WHERE s.payout_id = pl.payout_id AND s.state = :settled AND s.generation = last.generation
    ) AS settled_at
    FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id CROSS JOIN LATERAL (
        SELECT state, generation FROM payout_step s WHERE s.payout_id = pl.payout_id ORDER BY s.id DESC LIMIT 1
    ) AS last
    WHERE pl.leg_id = l.id AND pl.live AND last.state = :settled
      AND (CAST(:cycle AS uuid) IS NULL OR p.cycle_id = CAST(:cycle AS uuid))
    ORDER BY pl.payout_id LIMIT 1
) AS paid LEFT JOIN LATERAL (
    SELECT s.at, s.position, s.sight FROM payout_step s
    WHERE s.payout_id = paid.payout_id AND s.generation = paid.generation AND s.act = ANY(CAST(:sent AS text[]))
      AND s.id > ALL(SELECT id FROM payout_step o WHERE o.payout_id = paid.payout_id
                     AND o.generation = paid.generation AND o.act = :shut_out)
    ORDER BY s.id LIMIT 1
) AS sent ON true
WHERE l.program = :program AND l.id > CAST(:after AS uuid)
  AND (CAST(:since AS timestamptz) IS NULL OR paid.settled_at >= CAST(:since AS timestamptz))
  AND (CAST(:until AS timestamptz) IS NULL OR paid.settled_at < CAST(:until AS timestamptz))
  AND (CAST(:referrals AS text[]) IS NULL OR l.referral_id = ANY(CAST(:referrals AS text[])))
ORDER BY l.id LIMIT :limit
""")

#: The same of some referrals: by their index, however many legs the program has.
REWARDS_OF: Final = text(
    REWARDS.text.replace(
        "l.program = :program AND l.id > CAST(:after AS uuid)",
        "l.referral_id = ANY(CAST(:referrals AS text[])) AND l.program = :program AND l.id > CAST(:after AS uuid)",
    )
)

#: Claims with the first of their round and referrer, which froze the count of rewards.
CLAIMS: Final = text("""
SELECT c.id, c.referral_id, c.round, c.digest, c.body->>'program' AS program,
       CAST(c.body->>'version' AS integer) AS version, ARRAY(
           SELECT each->>'flag' FROM jsonb_array_elements(c.body->'flags') AS each
       ) AS flags, c.approved_rewards, first.assembled_at, first.approved_rewards AS first_rewards,
       first.position AS first_position, first.sight AS first_sight
FROM reward_claim c CROSS JOIN LATERAL (
    SELECT assembled_at, approved_rewards, position, sight FROM reward_claim f
    WHERE f.referral_id = c.referral_id AND f.round = c.round AND f.referrer IS NOT DISTINCT FROM c.referrer
    ORDER BY f.assembled_at, f.facts_version LIMIT 1
) AS first
WHERE c.id = ANY(CAST(:ids AS uuid[]))
""")

_DECISION: Final = """
SELECT seq, id, referral_id, claim_id, digest, kind, username, roles, reason, note_commitment, details, decided_at,
       previous_hash, hash, key_id, signature, position
FROM decision
"""
DECISIONS: Final = text(_DECISION + "WHERE referral_id = ANY(CAST(:listed AS text[])) ORDER BY seq")

VERSIONS: Final = text("""
SELECT program, version, effective_from, published_at, source, terms FROM program_version
ORDER BY program, version
""")

#: The facts that are filed under some keys, each with the key.
FACTS: Final = text(f"""
SELECT k.key, f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest, p.sealed,
       p.commitment, t.username AS teller, t.sources, t.types, f.position, {ERASED} AS erased
FROM fact_key k JOIN fact f ON f.id = k.fact_id LEFT JOIN personal_data p ON p.subject_id = f.id
LEFT JOIN fact_teller t ON t.id = f.teller_id
WHERE k.key = ANY(CAST(:keys AS text[]))
""")  # noqa: S608 (words of ours)

#: Who listens to some keys: the referrals that may meet.
LISTENING: Final = text("""
SELECT DISTINCT key, referral_id FROM referral_key WHERE key = ANY(CAST(:keys AS text[]))
""")

ASKED: Final = text("""
SELECT referral_id, source, subject, asked_at, position, answer FROM inquiry
WHERE referral_id = ANY(CAST(:referrals AS text[])) ORDER BY position, asked_at, id
""")

STEPS: Final = text("""
SELECT referral_id, at, position, status FROM referral_step
WHERE referral_id = ANY(CAST(:referrals AS text[])) ORDER BY id
""")

#: Legs with the place of their approval: a program's legs are approved under one lock, one after the other.
_HELD: Final = """
SELECT l.referral_id, l.program, l.referrer, l.order_key, l.role, l.amount_minor, l.approved_at, a.position,
       (SELECT min(p.id) FROM posting p WHERE p.transaction_id = a.id) AS reserved
FROM leg l LEFT JOIN ledger_transaction a ON a.key = 'accrued:' || CAST(l.id AS text)
"""
#: The live legs of some referrals.
HELD_OF_REFERRALS: Final = text(
    f"{_HELD} WHERE l.referral_id = ANY(CAST(:referrals AS text[])) AND l.state <> ALL(CAST(:freed AS text[]))"
)
#: The live legs of a referrer in a program that were approved in a time.
HELD_OF_REFERRER: Final = text(f"""
{_HELD} WHERE l.program = :program AND l.referrer = :referrer AND l.role = 'referrer'
  AND l.approved_at > CAST(:since AS timestamptz) AND l.approved_at <= CAST(:until AS timestamptz)
  AND l.state <> ALL(CAST(:freed AS text[]))
""")

#: How many rewards a referrer had when a claim was assembled: surely, and at most. Some were given up since.
#: A step bears the time at which its workflow asked for it, and may be recorded long after, when another reward was
#: approved meanwhile. So one counts surely if it was both approved and recorded before.
COUNTED: Final = text("""
SELECT count(*) FILTER (
           WHERE l.approved_at < CAST(:at AS timestamptz) AND seen.it AND l.state <> ALL(CAST(:freed AS text[]))
       ) AS least, count(*) AS most
FROM leg l LEFT JOIN ledger_transaction a ON a.key = 'accrued:' || CAST(l.id AS text)
CROSS JOIN LATERAL (
    SELECT coalesce(a.position < :before AND a.position <> ALL(CAST(:under_way AS bigint[])), true) AS it
) AS seen
WHERE l.program = :program AND l.referrer = :referrer AND l.role = 'referrer' AND l.referral_id <> :referral
  AND (l.approved_at <= CAST(:at AS timestamptz) OR (seen.it AND a.position IS NOT NULL))
""")

#: The legs of some claims.
LEGS_OF_CLAIMS: Final = text("""
SELECT id, claim_id, role, beneficiary, kind, amount_minor, currency FROM leg
WHERE claim_id = ANY(CAST(:claims AS uuid[])) ORDER BY id
""")
