"""The facts of a past, their keys, and the referrals that listen to them, in SQL only.

Reads the tables ``person`` and ``life`` that `bench.past` created.
"""

from typing import Final

_PEOPLE: Final = """
INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac)
SELECT md5('enrolled ' || referrer)::uuid, 'past', 'enrolled ' || referrer, 'referrer.enrolled', at, at,
       jsonb_build_object('referrer', referrer, 'program', program, 'code', referrer, 'customer', customer),
       ARRAY['customer:' || customer, email_mark],
       encode(sha256(convert_to('digest ' || referrer, 'UTF8')), 'hex'),
       encode(sha256(convert_to('content ' || referrer, 'UTF8')), 'hex')
FROM person
"""

# The big referrer exceeds every tax threshold and has filed a form.
_FORM: Final = """
INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac)
SELECT md5('form ' || referrer)::uuid, 'past', 'form ' || referrer, 'payee.tax_form_filed', at, at,
       jsonb_build_object('payee', referrer, 'form', 'w9'), '{}', encode(sha256('form'), 'hex'), ''
FROM person WHERE number = -1
"""

# Each fact of each life, with the time, content, marks and keys that intake would give it.
_TOLD: Final = """
CREATE TEMP VIEW told AS
SELECT i, id AS referral, 1 AS version, sent AS fact, 'referral.sent' AS type, began_at AS at,
       jsonb_build_object('referral', id, 'program', program, 'referrer', referrer, 'channel', 'link',
                          'referee', '{}'::jsonb) AS data,
       ARRAY[email_mark] AS marks, ARRAY[email_mark, 'referral:' || id] AS keys,
       jsonb_build_object('referee', jsonb_build_object('email', email)) AS body
FROM life
UNION ALL
SELECT i, id, 2, told, 'referral.claimed', began_at + interval '2 days',
       jsonb_build_object('referral', id, 'consent', true, 'referee', jsonb_build_object('customer', customer)),
       ARRAY['customer:' || customer, email_mark, ip_mark, device_mark],
       ARRAY['customer:' || customer, email_mark, ip_mark, device_mark, 'referral:' || id],
       jsonb_build_object('referee', jsonb_build_object('email', email, 'customer', customer))
FROM life WHERE claimed
UNION ALL
SELECT i, id, 3, conversion, 'conversion.recorded', began_at + interval '3 days',
       jsonb_build_object('order', order_id, 'kind', 'purchase', 'amount', '80.00', 'currency', 'USD',
                          'customer', jsonb_build_object('customer', customer)),
       ARRAY['customer:' || customer, email_mark, ip_mark, fingerprint_mark],
       ARRAY['customer:' || customer, email_mark, ip_mark, fingerprint_mark, 'order:' || order_id],
       jsonb_build_object('customer', jsonb_build_object('email', email, 'customer', customer))
FROM life WHERE bought
UNION ALL
SELECT i, id, 4, reversal, 'conversion.reversed', began_at + interval '9 days',
       jsonb_build_object('order', order_id, 'kind', 'return'), '{}', ARRAY['order:' || order_id], '{}'::jsonb
FROM life WHERE outcome = 'returned'
"""

_FACTS: Final = """
INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac)
SELECT fact, 'past', referral || ' ' || version, type, at, at, data, marks,
       encode(sha256(uuid_send(fact)), 'hex'), encode(sha256(uuid_send(fact) || '\\x00'), 'hex')
FROM told
"""

_PERSONAL: Final = """
CREATE TEMP TABLE told_text AS
SELECT fact AS subject, body::text AS content, encode(sha256(uuid_send(fact) || '\\x01'), 'hex') AS commitment FROM told
UNION ALL
SELECT md5('enrolled ' || referrer)::uuid, jsonb_build_object('customer', customer, 'email', email)::text,
       encode(sha256(convert_to(referrer, 'UTF8')), 'hex')
FROM person
"""

_FACT_KEYS: Final = """
INSERT INTO fact_key (key, fact_id)
SELECT unnest(keys), fact FROM told
UNION ALL
SELECT unnest(ARRAY['referrer:' || program || '/' || referrer, 'code:' || program || '/' || referrer,
                    'enrolled:customer:' || customer, 'enrolled:' || email_mark]), md5('enrolled ' || referrer)::uuid
FROM person
UNION ALL
SELECT 'payee:' || referrer, md5('form ' || referrer)::uuid FROM person WHERE number = -1
"""

_REFERRALS: Final = """
INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, referrer, channel, facts_version,
                      told_at, judged_version, judged_at, version, round, status, reason, deadline, wake_at, claimed_at,
                      order_id, conversion_at, net_minor, currency, claim_id, claim_version, rivals_seen, closed_at,
                      closed_version, late_facts, rewarded_at)
SELECT id, 0, began_at, 'past', id || ' 1', program, referrer, 'link', seen, began_at, seen, began_at, 1, 1, status,
       reason, CASE WHEN closed_at IS NULL THEN began_at + interval '60 days' END,
       CASE WHEN closed_at IS NULL AND status <> 'awaiting_approval' THEN began_at + interval '60 days' END,
       CASE WHEN claimed THEN began_at + interval '2 days' END, converted.order_id,
       CASE WHEN converted.order_id IS NOT NULL THEN began_at + interval '3 days' END,
       CASE WHEN converted.order_id IS NOT NULL THEN 8000 END, CASE WHEN converted.order_id IS NOT NULL THEN 'USD' END,
       CASE WHEN outcome IN ('waiting', 'denied', 'rewarded') THEN md5('claim ' || id)::uuid END, seen,
       CASE WHEN outcome IN ('waiting', 'denied', 'rewarded') THEN encode(sha256('[]'), 'hex') END, closed_at,
       CASE WHEN closed_at IS NOT NULL THEN seen END, 0,
       CASE WHEN outcome = 'rewarded' THEN began_at + interval '20 days' END
FROM life
CROSS JOIN LATERAL (
    SELECT 1 + claimed::int + bought::int + coalesce(outcome = 'returned', false)::int AS seen,
           began_at < (SELECT max(began_at) FROM life) - interval '40 days' AS long_ago,
           CASE WHEN outcome IS DISTINCT FROM 'returned' AND bought THEN life.order_id END AS order_id
) AS converted
CROSS JOIN LATERAL (
    SELECT CASE WHEN outcome = 'waiting' THEN 'awaiting_approval'
                WHEN outcome = 'rewarded' THEN 'rewarded'
                WHEN outcome IS NOT NULL THEN 'denied'
                WHEN long_ago THEN 'expired'
                WHEN bought THEN 'in_return_period'
                WHEN claimed THEN 'claimed'
                ELSE 'invited' END AS status,
           CASE WHEN outcome = 'denied' THEN 'denied_by_decision'
                WHEN outcome = 'returned' THEN 'conversion_reversed'
                WHEN outcome IS NULL AND long_ago AND claimed THEN 'no_conversion'
                WHEN outcome IS NULL AND long_ago THEN 'invitation_not_claimed' END AS reason,
           CASE WHEN long_ago AND outcome IS DISTINCT FROM 'waiting' THEN began_at + interval '40 days' END AS closed_at
) AS stood
"""

_LISTENS: Final = """
INSERT INTO referral_key (key, referral_id)
SELECT unnest(ARRAY['referral:' || id, email_mark, 'referrer:' || program || '/' || referrer, 'payee:' || referrer]
              || CASE WHEN claimed THEN ARRAY['customer:' || customer, 'payee:' || customer] ELSE '{}' END
              || CASE WHEN bought THEN ARRAY['order:' || order_id] ELSE '{}' END), id
FROM life
"""

_LINKS: Final = """
INSERT INTO referral_fact (referral_id, fact_id, version)
SELECT referral, fact, version FROM told
UNION ALL
SELECT id, md5('enrolled ' || referrer)::uuid, 1 FROM life
UNION ALL
SELECT id, md5('form ' || referrer)::uuid, 1 FROM life JOIN person USING (referrer) WHERE number = -1
"""

_STEPS: Final = """
INSERT INTO referral_step (referral_id, at, status, reason, facts_version)
SELECT id, began_at, 'invited', NULL, 1 FROM referral
UNION ALL
SELECT id, claimed_at, 'claimed', NULL, 2 FROM referral WHERE claimed_at IS NOT NULL
UNION ALL
SELECT id, conversion_at, 'in_return_period', NULL, 3 FROM referral WHERE order_id IS NOT NULL
UNION ALL
SELECT id, began_at + interval '18 days', 'awaiting_approval', NULL, 3 FROM referral WHERE claim_id IS NOT NULL
UNION ALL
SELECT id, coalesce(rewarded_at, closed_at), status, reason, facts_version FROM referral WHERE closed_at IS NOT NULL
"""

#: The statements by what they write, in order.
STATEMENTS: Final = {
    "enrolments": _PEOPLE,
    "a form": _FORM,
    "what was told": _TOLD,
    "facts": _FACTS,
    "personal data": _PERSONAL,
    "keys of facts": _FACT_KEYS,
    "referrals": _REFERRALS,
    "keys of referrals": _LISTENS,
    "links": _LINKS,
    "steps": _STEPS,
}
