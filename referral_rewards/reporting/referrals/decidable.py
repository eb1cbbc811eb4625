"""The current digest of a referral's claim or closing, and the kinds of decision possible now."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.claims import subject as claim_subject
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import ClaimDecision
from referral_rewards.reporting.shape import GivenId, Shape


class DecidableClaim(Shape):
    """The ``digest`` that a decision signs now, and the kinds possible (``takes``); if closed, those of its closing.

    Whoever holds the roles can record each of them now. While a referral has no claim and is open, only an order can
    be linked to it.
    """

    referral: GivenId
    status: ReferralStatus | None
    reason: str | None
    digest: str | None
    takes: tuple[DecisionKind, ...]
    claim: RewardClaim | None
    decisions: tuple[ClaimDecision, ...]


async def decidable(connection: AsyncConnection, referral: str, keys: KeyRing) -> DecidableClaim:
    """Return the claim of a referral, or its closing, as the subject of a decision.

    Raises:
        NotFound: if there is no such referral.
    """
    row = await referrals.row(connection, referral)
    if row is None:
        raise NotFound("referral", referral)
    subject = (await claim_subject.shown(connection, referral, datetime.now(UTC), keys)).subject
    takes, stands = subject.takes, subject.closed or subject.claim is not None
    return DecidableClaim(
        referral=row.id,
        status=row.status,
        reason=row.reason,
        digest=subject.basis.digest if subject.basis is not None and (takes or stands) else None,
        takes=takes,
        claim=subject.claim,
        decisions=await decisions.on_referral(connection, row.id, keys),
    )


async def claim_of(connection: AsyncConnection, claim: object) -> RewardClaim | None:
    """Return the claim with that id; None if there is none."""
    body = (await connection.execute(_CLAIM, {"id": claim})).scalar_one_or_none()
    return RewardClaim.model_validate(body) if body is not None else None


_CLAIM: Final = text("SELECT body FROM reward_claim WHERE id = :id")
