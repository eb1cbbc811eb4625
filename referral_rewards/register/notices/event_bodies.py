"""Build the bodies of webhook events: ids, codes and amounts, no personal data.

The event itself is as of when it happened; the state of the referral's money is as of delivery.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def event_of(connection: AsyncConnection, notice: Any) -> dict[str, Any]:
    """Return the event of a webhook message in the form of Standard Webhooks: type, timestamp, data."""
    kind, _, name = notice.occasion.partition(":")
    row = (await connection.execute(_REFERRAL, {"referral": notice.referral_id})).one()
    data = {
        "referral": notice.referral_id,
        "program": row.program,
        "version": row.version,
        "referrer": row.referrer,
        "order": row.order_id,
        "reward": [dict(each) for each in row.legs or ()],
    }
    match kind:
        case "step":
            step = (await connection.execute(_STEP, {"id": int(name)})).one()
            data |= {"status": step.status, "reason": step.reason}
        case "decision":
            made = (await connection.execute(_DECISION, {"id": UUID(name)})).one()
            data |= {"decision": name, "kind": made.kind, "reason": made.reason, "by": made.username}
            data["digest"] = made.digest
        case "claim":
            data |= {"status": row.status, "digest": name, "routes": _routes(row.routes)}
            data["waiting_since"] = _instant(row.waiting_since)
    return {"type": notice.template, "timestamp": _instant(notice.planned_at), "data": data}


def _routes(routes: Sequence[str] | None) -> list[str]:
    return list(routes or ())


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_REFERRAL: Final = text("""
SELECT r.program, r.version, r.referrer, r.order_id, r.status, r.waiting_since,
       c.body->'requirement'->'routes' AS routes,
       (SELECT jsonb_agg(jsonb_build_object('role', leg->'role', 'beneficiary', leg->'beneficiary', 'kind', leg->'kind',
                                            'amount_minor', leg->'amount_minor', 'currency', leg->'currency'))
        FROM jsonb_array_elements(c.body->'legs') AS leg) AS legs
FROM referral r LEFT JOIN reward_claim c ON c.id = r.claim_id WHERE r.id = :referral
""")

_STEP: Final = text("SELECT status, reason FROM referral_step WHERE id = :id")
_DECISION: Final = text("SELECT kind, reason, username, digest FROM decision WHERE id = :id")
