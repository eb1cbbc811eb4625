"""The rivals of a referral: other referrals of the same referee or order, in their current state."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.claims import dossier
from referral_rewards.reporting.shape import Instant, Shape

#: The most rivals that a person can compare side by side.
_COMPARED_MAX: Final = 8


class RivalShown(Shape):
    """A rival referral: its referrer, when it was claimed, its status, and its claim."""

    referral: str
    program: str
    referrer: str | None
    claimed_at: Instant | None
    order: str | None
    store: str | None
    same_order: bool
    same_referee: bool
    status: ReferralStatus
    rewarded: bool
    claim: RewardClaim | None


async def competing(connection: AsyncConnection, case: Case) -> tuple[RivalShown, ...]:
    """Return the rivals of a referral: first those with a reward, then those with a claim."""
    found = await dossier.rivals(connection, case)
    q = case.course.conversion
    claims = await _claims(connection, [rival.referral for rival in found])
    ordered = sorted(found, key=lambda each: (not each.rewarded, each.referral not in claims, each.referral))
    return tuple(
        RivalShown(
            referral=rival.referral,
            program=rival.program,
            referrer=rival.referrer,
            claimed_at=rival.claimed_at,
            order=rival.order,
            store=rival.store,
            same_order=q is not None and q.which.may_be(rival.name),
            same_referee=rival.same_referee,
            status=rival.status,
            rewarded=rival.rewarded,
            claim=claims.get(rival.referral),
        )
        for rival in ordered[:_COMPARED_MAX]
    )


async def _claims(connection: AsyncConnection, referrals: Sequence[str]) -> dict[str, RewardClaim]:
    rows = await connection.execute(_CLAIMS, {"referrals": list(referrals)})
    return {row.referral_id: RewardClaim.model_validate(row.body) for row in rows}


_CLAIMS: Final = text("""
SELECT c.referral_id, c.body FROM referral r JOIN reward_claim c ON c.id = r.claim_id
WHERE r.id = ANY(CAST(:referrals AS text[]))
""")
