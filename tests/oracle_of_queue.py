"""The queue by reading the whole register: what its projection must always come to."""

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def by_reading_everything(connection: AsyncConnection) -> list[Any]:
    """What waits for a person, with what a search asks for."""
    return list(await connection.execute(_WAITING))


async def as_kept(connection: AsyncConnection) -> list[Any]:
    """The same, of the projection."""
    return list(await connection.execute(_KEPT))


_WAITING: Final = text("""
WITH waiting AS (
    SELECT r.id, 'approval' AS exception, CAST(NULL AS text) AS about,
           coalesce(r.waiting_since, (SELECT max(at) FROM referral_step s WHERE s.referral_id = r.id
                                      AND s.status = 'awaiting_approval')) AS since
    FROM referral r LEFT JOIN reward_claim c ON c.id = r.claim_id
    WHERE r.status = 'on_hold' OR (r.status = 'awaiting_approval' AND c.body->>'waits_for' IS NULL)
    UNION ALL
    SELECT r.id, 'late_fact', r.late_facts || ' late', r.closed_at
    FROM referral r WHERE r.late_facts > 0 AND r.closed_at IS NOT NULL
    UNION ALL
    SELECT r.id, 'appeal', NULL, f.received_at
    FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id JOIN referral r ON r.id = rf.referral_id
    WHERE f.type = 'referral.appealed' AND r.closed_at IS NOT NULL AND rf.version > coalesce(r.answered_version, 0)
    UNION ALL
    SELECT c.referral_id, 'clawback', c.why, c.opened_at FROM clawback_case c
    WHERE (c.state = 'open' OR c.id IN (SELECT case_id FROM clawback WHERE state = 'manual_review'))
      AND c.leg_id NOT IN (
          SELECT pl.leg_id FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id
          WHERE pl.live AND p.rail = 'manual' AND p.state IN ('accepted', 'manual_review'))
    UNION ALL
    SELECT c.referral_id, 'clawback', c.why, min(b.updated_at) + interval '90 days'
    FROM clawback_case c JOIN clawback b ON b.case_id = c.id AND b.state = 'offsetting'
    WHERE c.state <> 'open' AND c.id NOT IN (SELECT case_id FROM clawback WHERE state = 'manual_review')
    GROUP BY c.id, c.referral_id, c.why
    UNION ALL
    SELECT min(l.referral_id), 'payout_' || p.state, NULL, p.updated_at + min(w.patience)
    FROM (VALUES ('manual_review', interval '0'), ('refused', '0'), ('returned', '0'), ('waiting_funds', '0'),
                 ('unknown', '1 hour'), ('accepted', '0'), ('approved', '0')) AS w(state, patience)
    JOIN payout p USING (state) JOIN payout_leg pl ON pl.payout_id = p.id JOIN leg l ON l.id = pl.leg_id
    WHERE (p.state NOT IN ('accepted', 'approved') OR p.rail = 'manual' AND p.amount_minor > 0)
      AND (pl.live OR p.id NOT IN (SELECT payout_id FROM payout_leg WHERE live))
    GROUP BY p.id
    UNION ALL
    SELECT l.referral_id, 'waiting_method', NULL, greatest(l.approved_at, m.received_at)
    FROM leg l JOIN (
        SELECT DISTINCT ON (data->>'payee', data->>'rail') data->>'payee' AS payee, data->>'rail' AS rail, type,
               received_at
        FROM fact WHERE type IN ('payee.method_set', 'payee.method_removed')
        ORDER BY data->>'payee', data->>'rail', occurred_at DESC, source DESC, event_id DESC
    ) AS m ON m.payee = l.beneficiary AND m.rail = l.rail AND m.type = 'payee.method_set'
    WHERE l.state = 'waiting_method'
    UNION ALL
    SELECT coalesce(p.referral_id, (
               SELECT min(l.referral_id) FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
               WHERE pl.payout_id = p.id AND pl.live)), 'waiting_method', NULL, greatest(p.updated_at, m.received_at)
    FROM payout p JOIN (
        SELECT DISTINCT ON (data->>'payee', data->>'rail') data->>'payee' AS payee, data->>'rail' AS rail, type,
               data->>'reference' AS reference, received_at
        FROM fact WHERE type IN ('payee.method_set', 'payee.method_removed')
        ORDER BY data->>'payee', data->>'rail', occurred_at DESC, source DESC, event_id DESC
    ) AS m ON m.payee = p.payee AND m.rail = p.rail
    WHERE p.state = 'approved' AND p.key_used_at IS NULL AND (p.first_sent_at IS NOT NULL OR p.returns IS NOT NULL)
      AND p.rail IN ('manual', 'stripe_transfer', 'stripe_balance', 'paypal_payouts')
      AND (m.type = 'payee.method_removed' OR m.reference <> p.body->>'destination')
    UNION ALL
    SELECT r.id, 'reported', NULL, f.occurred_at
    FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id JOIN referral r ON r.id = rf.referral_id
    WHERE f.type = 'conversion.reported' AND r.order_id IS NULL
      AND CASE WHEN r.closed_at IS NULL THEN r.status IN ('invited', 'purchased_unclaimed', 'claimed')
               ELSE rf.version > coalesce(r.answered_version, 0) END
      -- The earliest record says whose an order is.
      AND NOT coalesce((
          SELECT told.marks FROM fact told
          WHERE told.type = 'conversion.recorded' AND told.data->>'order' = f.data->>'order'
          ORDER BY told.occurred_at, told.source, told.event_id LIMIT 1
      ) && ARRAY(SELECT CAST(key AS text) FROM referral_key WHERE referral_id = r.id), false)
    UNION ALL
    SELECT r.id, 'closed_in_conflict', NULL, greatest(r.closed_at, f.received_at)
    FROM referral r CROSS JOIN jsonb_array_elements_text(r.doubts->'closed_in_conflict') AS record(id)
    JOIN fact f ON f.id::text = record.id JOIN referral_fact rf ON rf.referral_id = r.id AND rf.fact_id = f.id
    WHERE rf.version > coalesce(r.answered_version, 0)
    UNION ALL
    SELECT id, 'unlinked_claim', NULL, began_at FROM referral
    WHERE status IN ('invited', 'purchased_unclaimed', 'claimed', 'in_return_period')
      AND referrer IS NULL AND referrer_code IS NOT NULL
    UNION ALL
    SELECT id, 'parked', NULL, told_at FROM referral WHERE parked = 'referral_unknown' AND merged_into IS NULL
)
SELECT r.id, w.exception, w.about, w.since, coalesce(r.program, ''), coalesce(r.status, ''), r.reason, r.referrer,
       (SELECT min(substr(k.key, 10)) FROM referral_key k
        WHERE k.referral_id = r.id AND k.key LIKE 'customer:%') AS customer,
       c.body->>'recommendation' AS recommendation,
       ARRAY(SELECT DISTINCT x->>'flag' FROM jsonb_array_elements(c.body->'flags') x ORDER BY 1) AS flags,
       ARRAY(SELECT x#>>'{}' FROM jsonb_array_elements(c.body->'requirement'->'routes') x ORDER BY 1) AS routes,
       (SELECT coalesce(sum((x->>'amount_minor')::bigint), 0) FROM jsonb_array_elements(c.body->'legs') x) AS minor,
       (SELECT min(x->>'currency') FROM jsonb_array_elements(c.body->'legs') x) AS currency
FROM waiting w JOIN referral r USING (id) LEFT JOIN reward_claim c ON c.id = r.claim_id
UNION ALL
SELECT '', 'cycle', NULL, CASE state WHEN 'frozen' THEN frozen_at ELSE updated_at END,
       program, state, NULL, NULL, NULL, NULL, '{}', '{finance}', 0, NULL
FROM payout_cycle WHERE state IN ('frozen', 'stopped')
UNION ALL
SELECT '', 'rail_halted', why, halted_at, '', 'halted', NULL, NULL, NULL, NULL, '{}', '{finance}', 0, NULL
FROM restored_rail WHERE reopened_at IS NULL
UNION ALL
SELECT '', 'rail_shut', why, halted_at, '', 'halted', NULL, NULL, NULL, NULL, '{}', '{finance}', 0, NULL FROM rail_halt
UNION ALL
SELECT '', 'forgotten_payment', NULL, found_at, '', 'waiting', NULL, payee, NULL, NULL, '{}', '{finance}', 0, NULL
FROM forgotten_payment f
WHERE assigned_to IS NULL AND disowned_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM payout p WHERE p.rail = f.rail AND p.provider_reference = f.reference AND p.settled_at IS NOT NULL)
UNION ALL
SELECT '', 'parked', NULL, min(told_at), program, '', NULL, NULL, NULL, NULL, '{}', '{}', 0, NULL
FROM referral WHERE parked = 'no_terms_in_force' AND merged_into IS NULL GROUP BY program
UNION ALL
SELECT '', 'unlinked_order', NULL, min(o.occurred_at) + interval '1 day', min(e.data->>'program'), '', NULL,
       CASE WHEN count(DISTINCT e.data->>'referrer') = 1 THEN min(e.data->>'referrer') END, NULL, NULL,
       '{}', '{}', 0, NULL
FROM fact_key ok JOIN fact o ON o.id = ok.fact_id AND o.type = 'conversion.recorded'
JOIN fact_key ek USING (key) JOIN fact e ON e.id = ek.fact_id AND e.type = 'referrer.enrolled'
WHERE key LIKE 'coupon:%' AND NOT EXISTS (
    SELECT 1 FROM referral_key rk WHERE rk.key = 'order:' || (o.data->>'order'))
GROUP BY key
ORDER BY since, id, exception, about
""")

_KEPT: Final = text("""
SELECT referral_id, exception, about, since, program, status, reason, referrer, customer, recommendation, flags, routes,
       amount_minor, currency
FROM queue_entry ORDER BY since, referral_id, exception, about
""")
