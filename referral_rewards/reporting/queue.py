"""What waits for a person, oldest first: the approvers' queue with the brief's seven columns."""

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.register import decisions
from referral_rewards.register.signing import KeyRing
from referral_rewards.reporting.forms import instant


async def queue(connection: AsyncConnection, keys: KeyRing) -> list[dict[str, Any]]:
    """Every claim before its approvers, every late fact, open clawback case and payout that a person must look at, and
    every conversion that a referee reports and no source has confirmed.

    ``signed`` names only those whose signature ``keys`` verify.
    """
    rows = (await connection.execute(_QUEUE)).all()
    return [_entry(row, await _signed(connection, row, keys)) for row in rows]


def _entry(row: Any, signed: list[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = row.body or {}
    requirement = body.get("requirement") or {"routes": [], "people": 0}
    return {
        "referral": row.id,
        "program": row.program,
        "exception": row.exception,
        "about": row.about,
        "since": instant(row.since),
        "status": row.status,
        "referrer": row.referrer,
        "referred_customer": row.customer,
        "eligibility": {
            "recommendation": body.get("recommendation"),
            "flags": list(dict.fromkeys(raised["flag"] for raised in body.get("flags", []))),
            "reason": row.reason,
        },
        "conversion": None
        if row.order_id is None
        else {
            "order": row.order_id,
            "occurred_at": instant(row.conversion_at),
            "net_minor": row.net_minor,
            "currency": row.currency,
        },
        "reward": [
            {name: leg[name] for name in ("role", "beneficiary", "kind", "amount_minor", "currency")}
            for leg in body.get("legs", [])
        ],
        "approval": {
            "digest": body.get("digest"),
            "needs": requirement["routes"],
            "people": requirement["people"],
            "signed": signed,
            "since": instant(row.since),
        },
        "payment": row.payouts,
    }


async def _signed(connection: AsyncConnection, row: Any, keys: KeyRing) -> list[dict[str, Any]]:
    if not row.decided:
        return []
    made, _ = await decisions.on_referral(connection, row.id, keys)
    return [
        {"user": each.user, "roles": sorted(each.roles), "kind": each.kind, "at": instant(each.decided_at)}
        for each in made
        if row.body and each.digest == row.body["digest"]
    ]


_QUEUE: Final = text("""
WITH waiting AS (
    SELECT r.id, 'approval' AS exception, CAST(NULL AS text) AS about,
           coalesce(r.waiting_since, (SELECT max(at) FROM referral_step s WHERE s.referral_id = r.id
                                      AND s.status = 'awaiting_approval')) AS since
    FROM referral r WHERE r.status IN ('awaiting_approval', 'on_hold')
    UNION ALL
    SELECT r.id, 'late_fact', r.late_facts || ' late', r.closed_at
    FROM referral r WHERE r.late_facts > 0 AND r.closed_at IS NOT NULL
    UNION ALL
    SELECT c.referral_id, 'clawback', c.why, c.opened_at FROM clawback_case c WHERE c.state = 'open'
    UNION ALL
    SELECT p.referral_id, 'payout_' || p.state, p.why, p.updated_at
    FROM payout p WHERE p.state IN ('manual_review', 'refused')
    UNION ALL
    SELECT r.id, 'reported', 'the referee tells of ' || coalesce('order ' || (f.data->>'order'), 'a purchase')
           || ', which no source has confirmed', f.occurred_at
    FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id JOIN referral r ON r.id = rf.referral_id
    WHERE f.type = 'conversion.reported' AND r.closed_at IS NULL
      AND r.status IN ('invited', 'purchased_unclaimed', 'claimed')
      AND NOT EXISTS (
          SELECT 1 FROM fact_key fk JOIN fact told ON told.id = fk.fact_id AND told.type = 'conversion.recorded'
          WHERE fk.key = 'order:' || (f.data->>'order'))
)
SELECT w.exception, w.about, w.since, r.id, r.program, r.status, r.reason, r.referrer, r.order_id, r.conversion_at,
       r.net_minor, r.currency, c.body,
       (SELECT min(substr(k.key, 10)) FROM referral_key k
        WHERE k.referral_id = r.id AND k.key LIKE 'customer:%') AS customer,
       EXISTS (SELECT 1 FROM decision d WHERE d.referral_id = r.id OFFSET 0) AS decided,
       (SELECT coalesce(json_agg(json_build_object('payout', p.id, 'state', p.state, 'why', p.why) ORDER BY p.id), '[]')
        FROM payout p WHERE p.referral_id = r.id) AS payouts
FROM waiting w JOIN referral r USING (id) LEFT JOIN reward_claim c ON c.id = r.claim_id
ORDER BY w.since, r.id, w.exception, w.about
""")
