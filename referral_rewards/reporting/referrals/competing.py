"""The claims that compete with one: other referrals of the same referee or the same order, as they stand."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.register.claims import dossier
from referral_rewards.register.referrals.cases import Case
from referral_rewards.reporting.plain_values import plain

#: What a person can still compare side by side.
_COMPARED_MAX: Final = 8


async def competing(connection: AsyncConnection, case: Case) -> list[dict[str, Any]]:
    """The rivals of a referral, those with a live claim first: referrer, order, when it was claimed, where it stands,
    what is recommended and what it would pay."""
    found = await dossier.rivals(connection, case)
    order = case.course.conversion.order if case.course.conversion else None
    claims = await _claims(connection, [rival.referral for rival in found])
    rows = [
        {
            "referral": rival.referral,
            "program": rival.program,
            "referrer": rival.referrer,
            "claimed_at": rival.claimed_at,
            "order": rival.order,
            "same_order": order is not None and rival.order == order,
            "same_referee": rival.same_referee,
            "status": rival.status,
            "rewarded": rival.rewarded,
            "claim": claims.get(rival.referral),
        }
        for rival in found
    ]
    rows.sort(key=lambda row: (not row["rewarded"], row["claim"] is None, row["referral"]))
    return plain(rows[:_COMPARED_MAX])  # type: ignore[no-any-return]


async def _claims(connection: AsyncConnection, referrals: Sequence[str]) -> dict[str, Any]:
    rows = await connection.execute(_CLAIMS, {"referrals": list(referrals)})
    return {row.referral_id: row.body for row in rows}


_CLAIMS: Final = text("""
SELECT c.referral_id, c.body FROM referral r JOIN reward_claim c ON c.id = r.claim_id
WHERE r.id = ANY(CAST(:referrals AS text[]))
""")
