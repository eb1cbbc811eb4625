"""The steps of a payout's history: requests to its rail, their outcomes, and what released them."""

from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from referral_rewards.domain.payouts.payout import Payout

SENT: Final = "sent"
#: The rail may have paid it before the register was restored: it counts as sent, and nothing was sent now.
ADOPTED: Final = "adopted"
LOOKED_UP: Final = "looked_up"
POLLED: Final = "polled"
#: An answer that changes nothing, or came too late to change anything.
ANSWERED: Final = "answered"
#: The rail rejected our credentials on every attempt under the current key: it has not seen that key.
SHUT_OUT: Final = "shut_out"
TOPPED_UP: Final = "topped_up"


class Step(NamedTuple):
    """One step: under which generation of the key, when, the act, the state afterwards, why, and the rail's reference.

    ``act`` is one of the above, ``planned``, ``moved``, or the kind of a decision.
    """

    id: int
    generation: int
    at: datetime
    act: str
    state: str
    why: str | None
    reference: str | None


class Dates(NamedTuple):
    """When a payout was planned, when it was first sent, and when its current key was first used; None for never."""

    planned_at: datetime | None
    first_sent_at: datetime | None
    key_used_at: datetime | None


def held_to(payout: Payout, dates: Dates) -> Payout:
    """Return the row, corrected if its history shows that the payout was sent earlier than the row says.

    A payout that may have been sent must be looked up first, and a changed row must not make it look unsent.
    """
    first_sent_at = _earlier(payout.first_sent_at, dates.first_sent_at)
    key_used_at = _earlier(payout.key_used_at, dates.key_used_at)
    if (first_sent_at, key_used_at) == (payout.first_sent_at, payout.key_used_at):
        return payout
    return replace(payout, first_sent_at=first_sent_at, key_used_at=key_used_at)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)
