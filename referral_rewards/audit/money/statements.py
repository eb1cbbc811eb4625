"""The statements by which the audit reads payments: its own, by keys, for a page of payments at a time."""

from typing import Final

from sqlalchemy import text

#: A condition on a payout `p`: anything at all on record says that it was paid, or was to be.
_SAID_TO_BE_PAID: Final = """(
    p.state IN ('settled', 'returned') OR p.settled_at IS NOT NULL
    OR EXISTS (SELECT 1 FROM payout_step s WHERE s.payout_id = p.id AND s.state IN ('settled', 'returned'))
    OR EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.key = 'settled:' || p.id)
    OR EXISTS (SELECT 1 FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
               WHERE pl.payout_id = p.id AND pl.live AND l.state IN ('paid', 'clawed_back'))
)"""

#: A condition on a payout `p`: any of its rows names the program.
_OF_PROGRAM: Final = """(
    p.body->>'program' = :program
    OR EXISTS (SELECT 1 FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
               WHERE pl.payout_id = p.id AND l.program = :program)
    OR EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.key = 'settled:' || p.id AND t.program = :program)
)"""

#: A condition on a payout `p`: any of its rows says that it was paid in the span, or on the cycle's list.
_IN_SCOPE: Final = """
    (CAST(:cycle AS uuid) IS NULL OR p.cycle_id = CAST(:cycle AS uuid))
    AND (CAST(:since AS timestamptz) IS NULL AND CAST(:until AS timestamptz) IS NULL
         OR coalesce(p.settled_at >= :since, true) AND coalesce(p.settled_at < :until, true)
            AND p.settled_at IS NOT NULL
         OR EXISTS (SELECT 1 FROM payout_step s WHERE s.payout_id = p.id AND s.state IN ('settled', 'returned')
                    AND coalesce(s.at >= :since, true) AND coalesce(s.at < :until, true)))
"""

#: The next payments after one, by id.
PAGE: Final = text(f"""
SELECT p.* FROM payout p
WHERE p.id > CAST(:after AS uuid) AND {_OF_PROGRAM} AND {_SAID_TO_BE_PAID} AND {_IN_SCOPE}
ORDER BY p.id LIMIT :size
""")  # noqa: S608 (conditions of ours alone)

LEGS: Final = text("""
SELECT pl.payout_id, pl.live, l.* FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
WHERE pl.payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY l.id
""")

STEPS: Final = text("SELECT * FROM payout_step WHERE payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY id")

DEDUCTIONS: Final = text("""
SELECT * FROM payout_deduction WHERE payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY kind, source
""")

INSTRUCTIONS: Final = text("SELECT * FROM payment_instruction WHERE payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY key")

CLAIMS: Final = text("SELECT * FROM reward_claim WHERE id = ANY(CAST(:ids AS uuid[]))")

#: The facts that claims cite, and requests of their referrals, which their digests cover as well.
CITED: Final = text("""
SELECT DISTINCT c.id AS claim_id, f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at,
       f.data->>'order' AS "order", f.data->>'store' AS store,
       f.data->>'referral' AS referral, f.digest,
       (SELECT rf.version FROM referral_fact rf WHERE rf.referral_id = c.referral_id AND rf.fact_id = f.id) AS version
FROM reward_claim c CROSS JOIN LATERAL (
    SELECT CAST(e->>'id' AS uuid) AS id FROM jsonb_array_elements(c.body->'evidence') AS e
    WHERE e->>'id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    UNION
    SELECT rf.fact_id FROM referral_fact rf JOIN fact r ON r.id = rf.fact_id
    WHERE rf.referral_id = c.referral_id AND rf.version <= c.facts_version AND r.type = 'reward.requested'
) AS named JOIN fact f ON f.id = named.id
WHERE c.id = ANY(CAST(:ids AS uuid[]))
""")

HEARD: Final = text(
    "SELECT * FROM inquiry WHERE referral_id = ANY(CAST(:ids AS text[])) ORDER BY position, asked_at, id"
)

REFERRALS: Final = text("""
SELECT r.*, (SELECT count(*) FROM decision d WHERE d.referral_id = r.id AND d.kind = 'reopen') AS reopened
FROM referral r WHERE r.id = ANY(CAST(:ids AS text[]))
""")

TERMS: Final = text("""
SELECT v.*, EXISTS (
    SELECT 1 FROM audit_event a WHERE a.act = 'program.published' AND a.subject = v.program AND a.actor = v.published_by
      AND a.at = v.published_at AND a.details->>'version' = CAST(v.version AS text)
) AS noted
FROM program_version v WHERE v.program = ANY(CAST(:ids AS text[])) ORDER BY v.program, v.version
""")

#: Decisions on claims, payouts, cases and cycles, with what became of them and of who made them.
MADE: Final = text("""
SELECT d.*, ARRAY(SELECT e.effect FROM decision_effect e WHERE e.decision_id = d.id ORDER BY 1) AS effects,
       u.barred_position
FROM decision d LEFT JOIN app_user u ON u.name = d.username
WHERE d.claim_id = ANY(CAST(:ids AS uuid[])) ORDER BY d.seq
""")

#: Adjustments of referrals' claims: an adjusted claim is another one than that which was adjusted.
ADJUSTED: Final = text("""
SELECT d.*, ARRAY(SELECT e.effect FROM decision_effect e WHERE e.decision_id = d.id ORDER BY 1) AS effects,
       u.barred_position
FROM decision d LEFT JOIN app_user u ON u.name = d.username
WHERE d.referral_id = ANY(CAST(:ids AS text[])) AND d.kind = 'adjust' ORDER BY d.seq
""")

CASES: Final = text("SELECT * FROM clawback_case WHERE leg_id = ANY(CAST(:ids AS uuid[])) ORDER BY opened_at, id")

CLAWBACKS: Final = text("""
SELECT b.*, CAST(coalesce((
    SELECT sum(d.amount_minor) FROM payout_deduction d JOIN payout p ON p.id = d.payout_id
    WHERE d.source = CAST(b.id AS text) AND d.kind = 'offset' AND d.live AND p.state = 'settled'), 0) AS bigint)
    AS kept_minor
FROM clawback b WHERE b.leg_id = ANY(CAST(:ids AS uuid[])) ORDER BY b.created_at, b.id
""")

RETURNS: Final = text("""
SELECT id, returns AS case_id, amount_minor FROM payout
WHERE returns = ANY(CAST(:ids AS uuid[])) AND NOT dropped ORDER BY id
""")

CYCLES: Final = text("SELECT * FROM payout_cycle WHERE id = ANY(CAST(:ids AS uuid[]))")

ENTRIES: Final = text("""
SELECT t.*, coalesce((SELECT jsonb_agg(jsonb_build_array(p.account, p.amount_minor, p.currency)
                                       ORDER BY p.account, p.amount_minor)
                      FROM posting p WHERE p.transaction_id = t.id), '[]') AS postings
FROM ledger_transaction t WHERE t.key = ANY(CAST(:ids AS text[]))
""")
