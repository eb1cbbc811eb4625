"""Reward claims on record."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ClaimRow
from referral_rewards.domain.claims.claim import RewardClaim

#: A referral whose claim bears this version has none that was found right on the facts that there are.
NEVER_JUDGED: Final = -1


async def current(connection: AsyncConnection, claim_id: UUID) -> tuple[RewardClaim, Any]:
    """The claim of that id, and its row."""
    row = (await connection.execute(_CLAIM, {"id": claim_id})).one()
    return RewardClaim.model_validate(row.body), row


async def store(
    connection: AsyncConnection,
    claim: RewardClaim,
    *,
    round_: int,
    facts_version: int,
    referrer: str | None,
    approved_rewards: int,
    at: datetime,
) -> UUID:
    """Puts an assembled claim on record, and returns its id."""
    claim_id = uuid4()
    await connection.execute(
        insert(ClaimRow).values(
            id=claim_id,
            referral_id=claim.referral,
            round=round_,
            digest=claim.digest,
            core_digest=claim.core_digest,
            body=claim.model_dump(mode="json"),
            facts_version=facts_version,
            referrer=referrer,
            approved_rewards=approved_rewards,
            assembled_at=at,
        )
    )
    return claim_id


_CLAIM: Final = text("SELECT * FROM reward_claim WHERE id = :id")
