"""Legs: the states of one reward to one beneficiary after an approval has reserved it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID


class LegState(StrEnum):
    """The state of a leg."""

    RESERVED = "reserved"
    TAX_HOLD = "tax_hold"
    PAID = "paid"
    CANCELLED = "cancelled"
    CLAWED_BACK = "clawed_back"


_S = LegState

#: It is still owed: no payment of it has ended.
OWED: Final = frozenset({_S.RESERVED, _S.TAX_HOLD})
#: It was paid, even if it was taken back since.
WAS_PAID: Final = frozenset({_S.PAID, _S.CLAWED_BACK})
#: It no longer counts in caps and budget, and its order may be rewarded again.
FREED: Final = frozenset({_S.CANCELLED, _S.CLAWED_BACK})


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg as its row has it, in the payout that pays it; ``others`` are other payouts that it was in."""

    id: UUID
    referral_id: str
    claim_id: UUID
    digest: str
    program: str
    referrer: str
    order_key: str
    role: str
    beneficiary: str
    kind: str
    amount_minor: int
    currency: str
    rail: str
    destination: str | None
    state: LegState
    approved_at: datetime
    decisions: tuple[str, ...]
    others: tuple[UUID, ...]
