"""A referral as its row has it, and the facts that are linked to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName, named
from referral_rewards.domain.referrals.lifecycle import ReferralStatus


@dataclass(frozen=True, slots=True)
class Referral:
    """A referral's row, as `models.ReferralRow` describes it."""

    id: str
    origin_rank: int
    began_at: datetime
    origin_source: str
    origin_event: str
    program: str | None
    referrer: str | None
    referrer_code: str | None
    code_key: str | None
    channel: str | None
    parked: str | None
    moved_to: str | None
    acts: Mapping[str, Any] | None
    merged_into: str | None
    facts_version: int
    told_at: datetime | None
    judged_version: int
    judged_at: datetime | None
    version: int | None
    round: int
    status: ReferralStatus | None
    reason: str | None
    deadline: datetime | None
    wake_at: datetime | None
    claimed_at: datetime | None
    order_id: str | None
    stores: Sequence[str]
    conversion_at: datetime | None
    net_minor: int | None
    currency: str | None
    claim_id: UUID | None
    claim_version: int
    settled_rivals: Mapping[str, str | None] | None
    rivals_seen: str | None
    closed_at: datetime | None
    closed_version: int | None
    late_facts: int
    answered_version: int | None
    doubts: Mapping[str, Sequence[str]] | None
    rewarded_at: datetime | None
    waiting_since: datetime | None
    referrer_link: int
    referee_link: int

    @property
    def order(self) -> OrderName | None:
        """The name of the order that its reward is for; None while there is none."""
        return None if self.order_id is None else named(self.order_id, self.stores)


@dataclass(frozen=True, slots=True)
class LinkedFact:
    """A fact of a referral and the ``facts_version`` at which it was linked."""

    fact: Fact
    version: int
