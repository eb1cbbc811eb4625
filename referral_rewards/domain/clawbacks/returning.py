"""A return: what was taken wrongly goes back to its payee, by a payment of its own (SPEC §7).

It is a payout that pays no reward: the one engine sends it like every other, under a key that no reward has. What
differs stands here: what authorises it. It goes where the reward was paid, unless a redirect binds it elsewhere.
"""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid5

from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import LegState, PaymentRequest, PayoutState

_NAMESPACE: Final = UUID("3d1c4f0a-7a52-5b8e-9c61-2e5b7f0d8a47")


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of a reward in one clawback case, and where the reward had been paid; amounts in minor units.

    ``taken_minor`` is what was recovered, by a rail or from later payouts; ``returning_minor`` is what other returns
    of the case send back. ``replaced``: another reward took its place, so that it can't stand again.
    """

    case: UUID
    leg: UUID
    referral: str
    program: str
    payee: str
    rail: str
    currency: str
    leg_state: LegState
    payout_state: PayoutState | None
    destination: str | None
    taken_minor: int
    returning_minor: int
    replaced: bool

    @property
    def room_minor(self) -> int:
        """What may still go back: nothing if its payment itself came back, or another reward took its place."""
        if self.replaced or self.payout_state is not PayoutState.SETTLED:
            return 0
        return max(self.taken_minor - self.returning_minor, 0)


def return_id(decision: UUID) -> UUID:
    """Return the id of the payout that a decision to return begets: the same however often it is carried out."""
    return uuid5(_NAMESPACE, str(decision))


def request_of(decision: UUID, its: Taken, amount_minor: int) -> PaymentRequest:
    """Return the request that is frozen when the return is decided."""
    return PaymentRequest(
        payout_id=return_id(decision),
        payee=its.payee,
        amount_minor=amount_minor,
        currency=its.currency,
        destination=its.destination,
        program=its.program,
        referral=its.referral,
    )


def flaw(
    payout: Payout, its: Taken | None, decision: UUID | None, barred: str | None, bound_to: str | None = None
) -> str | None:
    """Return in one sentence why a return must not be sent; None if it may be. Nothing that its own row says is
    trusted.

    ``its`` leaves this return out of what is on its way back; None: there is no such case. ``decision`` is the verified
    one that orders exactly this return, and ``barred`` who made it, if they were barred since. ``bound_to`` is where a
    verified redirect sends it; None: where the reward was paid.
    """
    if its is None or decision is None:
        return "no signed decision of somebody with the authority returns it"
    if barred is not None and payout.key_used_at is None:
        return f"{barred}, who ordered it, was barred since"
    stored = (payout.rail, payout.payee, payout.currency, payout.body)
    ordered = its if bound_to is None else replace(its, destination=bound_to)
    if stored != (its.rail, its.payee, its.currency, request_of(decision, ordered, payout.amount_minor).body()):
        return "it does not pay what was decided"
    if payout.key_used_at is None and payout.amount_minor > its.room_minor:
        return "it sends back more than was taken"
    return None
