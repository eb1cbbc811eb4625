"""Where a leg may be paid, and whether it waits for its payee's method (SPEC §7 "Who is paid where").

An approval binds the destination that was known then. One that was named, replaced or removed since is bound by a
decision of its own, a redirect; only the very first one of a payee may be bound by the terms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from referral_rewards.domain.payees.methods import Methods
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, PayeeNeed, needs
from referral_rewards.domain.payouts.rail_objections import of_destination
from referral_rewards.domain.payouts.states import PayoutState

#: A payout of these states may have reached somebody; meanwhile no payment of its payee is redirected.
IN_THE_WAY: Final = frozenset(
    {PayoutState.SENDING, PayoutState.ACCEPTED, PayoutState.UNKNOWN, PayoutState.MANUAL_REVIEW}
)


@dataclass(frozen=True, slots=True)
class Redirected:
    """A redirect that enough people signed: the legs that it binds to a destination on one rail."""

    payee: str
    rail: str
    destination: str
    legs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What decides where a payee's legs may be paid: the methods told of them, the redirects in force, oldest first,
    and whether the terms pay the first method without anybody's decision."""

    methods: Methods
    redirects: Sequence[Redirected] = ()
    pays_first: bool = False

    def bound(self, leg: UUID, rail: str, approved: str | None) -> str | None:
        """Return the destination to which a leg may be paid; None if none is bound."""
        for redirect in reversed(self.redirects):
            if str(leg) in redirect.legs and redirect.rail == rail:
                return redirect.destination
        return self.methods.first_on(rail) if approved is None and self.pays_first else approved

    def waits(self, leg: UUID, rail: str, approved: str | None, now: datetime) -> bool:
        """Return whether a leg waits for a method: none that its rail could pay to is bound, or the one that is bound
        is not the payee's any more. A rail that needs no method never waits."""
        where = self.bound(leg, rail, approved)
        return not_payable_to(rail, where) or (needs_method(rail) and where != self.methods.destination_on(rail, now))

    def settled(self, leg: UUID, rail: str, approved: str | None, now: datetime) -> tuple[str | None, bool]:
        """Return where a leg may be paid, and whether it waits."""
        return self.bound(leg, rail, approved), self.waits(leg, rail, approved, now)


#: Of a payee of whom nothing was told.
NOWHERE: Final = Whereabouts(Methods(()))


def has_moved(rail: str, where: object, methods: Methods, now: datetime) -> bool:
    """Return whether the payee has another method on the rail than ``where`` a payment would go to, or none any more.

    Such a payment is not sent under a fresh key: it waits for a redirect, or until that method is theirs again.
    """
    return needs_method(rail) and where != methods.destination_on(rail, now)


#: The rails that pay nobody who has told no method.
NEEDING_A_METHOD: Final = frozenset(rail for rail in CATALOGUE if needs(rail) is PayeeNeed.REFERENCE)


def needs_method(rail: str) -> bool:
    """Return whether a rail pays nobody who has told no method."""
    return needs(rail) is PayeeNeed.REFERENCE


def not_payable_to(rail: str, where: str | None) -> bool:
    """Return whether a rail that needs a method would refuse this one by itself."""
    return needs_method(rail) and (where is None or of_destination(rail, where) is not None)
