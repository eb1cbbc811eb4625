"""A payout and its legs as their rows have them. Nothing in them is believed before it is verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from referral_rewards.domain.payouts.states import WAS_PAID, LegState, PayoutState, counts


@dataclass(frozen=True, slots=True)
class Payout:
    """One call to a rail, for the legs of one referral or of a cycle; amounts are in minor units.

    It was committed at ``first_sent_at``. The rail may have seen the current key since ``key_used_at``. ``missed_at``
    is when a look-up first found nothing, and ``due_at`` when its workflow next acts without news. One that ``returns``
    what that clawback case took pays no leg.
    """

    id: UUID
    referral_id: str | None
    cycle_id: UUID | None
    payee: str
    rail: str
    amount_minor: int
    currency: str
    body: Mapping[str, object]
    body_hash: str
    generation: int
    provider_key: str
    first_sent_at: datetime | None
    key_used_at: datetime | None
    missed_at: datetime | None
    provider_reference: str | None
    settled_at: datetime | None
    due_at: datetime | None
    state: PayoutState
    why: str | None
    created_at: datetime
    updated_at: datetime
    returns: UUID | None


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg as its row has it.

    ``destination`` is the one that its approval signed. ``bound_to`` is the one that was bound since, by a redirect or
    as the payee's first; None: it is paid to the approved one.
    """

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
    bound_to: str | None

    @property
    def pays_to(self) -> str | None:
        """The destination to which it is paid; None: the rail needs none, or it waits for one."""
        return self.destination if self.bound_to is None else self.bound_to


@dataclass(frozen=True, slots=True)
class PaidLeg(Leg):
    """A leg in the payout that pays it; ``others`` are other payouts that it was in."""

    others: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class ReservedLeg(Leg):
    """A leg that is not cancelled, and its live payout if it has one: in which state and generation, when it was first
    sent, and since when its rail may have seen its current key."""

    payout_id: UUID | None
    cycle_id: UUID | None
    payout_state: PayoutState | None
    first_sent_at: datetime | None
    generation: int | None = None
    key_used_at: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether it was paid, or its payment counts as committed (`states.counts`)."""
        if self.state in WAS_PAID:
            return True
        if self.payout_state is None or self.generation is None:
            return False
        return counts(self.payout_state, self.generation, self.first_sent_at, self.key_used_at)
