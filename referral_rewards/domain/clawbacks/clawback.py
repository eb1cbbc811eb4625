"""A clawback as its row has it. Nothing in it is believed before it is verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from referral_rewards.domain.clawbacks.states import ClawbackKind, ClawbackState


@dataclass(frozen=True, slots=True)
class Clawback:
    """One recovery that a person decided on; amounts are in minor units. ``released_minor`` of an offset is taken
    by another clawback. ``missed_at`` is when a look-up first found nothing."""

    id: UUID
    case_id: UUID
    leg_id: UUID
    payout_id: UUID
    referral_id: str
    payee: str
    kind: ClawbackKind
    amount_minor: int
    currency: str
    recovered_minor: int
    released_minor: int
    body: Mapping[str, object]
    body_hash: str
    generation: int
    provider_key: str
    first_sent_at: datetime | None
    missed_at: datetime | None
    provider_reference: str | None
    state: ClawbackState
    why: str | None
    decision_id: UUID
    created_at: datetime
    updated_at: datetime

    @property
    def key_used_at(self) -> datetime | None:
        """When the rail may first have seen its key: it has only one, and keeps it."""
        return self.first_sent_at
