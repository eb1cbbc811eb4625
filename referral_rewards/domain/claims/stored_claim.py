"""A reward claim on record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from referral_rewards.domain.claims.claim import RewardClaim


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """A reward claim's row, as `models.ClaimRow` describes it."""

    id: UUID
    referral_id: str
    round: int
    digest: str
    core_digest: str
    body: Mapping[str, Any]
    facts_version: int
    referrer: str | None
    approved_rewards: int
    assembled_at: datetime

    @property
    def claim(self) -> RewardClaim:
        return RewardClaim.model_validate(self.body)
