"""The current digest of a referral's claim or closing, and the kinds of decision possible now."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.claim_subject import REOPENABLE
from referral_rewards.domain.decisions.moving import MOVABLE
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, PAID, ReferralStatus
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import exchange_of, open_case
from referral_rewards.register.referrals.closing import closing_digest
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import ClaimDecision
from referral_rewards.reporting.shape import GivenId, Shape


class DecidableClaim(Shape):
    """The ``digest`` that a decision signs now, and the kinds possible (``takes``); if closed, those of its closing.

    While a referral has no claim and is open, only an order can be linked to it.
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
    claim, closed = await claim_of(connection, row.claim_id), row.closed_at is not None
    taken_back = row.status is ReferralStatus.CLAWED_BACK
    case = await open_case(connection, row, datetime.now(UTC), keys) if taken_back and not closed else None
    exchange = case is not None and exchange_of(case) is not None
    takes = _takes(row.status, claim, closed=closed or exchange)
    on_the_row = closed or taken_back or (claim is None and takes)
    return DecidableClaim(
        referral=row.id,
        status=row.status,
        reason=row.reason,
        digest=closing_digest(row) if on_the_row else claim.digest if claim else None,
        takes=takes,
        claim=claim,
        decisions=await decisions.on_referral(connection, row.id, keys),
    )


async def claim_of(connection: AsyncConnection, claim: object) -> RewardClaim | None:
    """Return the claim with that id; None if there is none."""
    body = (await connection.execute(_CLAIM, {"id": claim})).scalar_one_or_none()
    return RewardClaim.model_validate(body) if body is not None else None


def _takes(status: str | None, claim: RewardClaim | None, *, closed: bool) -> tuple[DecisionKind, ...]:
    if closed and status in REOPENABLE:
        return (DecisionKind.REOPEN, DecisionKind.LINK)
    if status is None or status in PAID:
        return ()
    if status not in BEFORE_PAYMENT or claim is None:
        return (DecisionKind.LINK,)
    moves = not MOVABLE.isdisjoint(claim.flag_names)
    unfit = {DecisionKind.REOPEN} if moves else {DecisionKind.REOPEN, DecisionKind.REASSIGN}
    return tuple(kind for kind in DecisionKind if kind not in unfit)


_CLAIM: Final = text("SELECT body FROM reward_claim WHERE id = :id")
