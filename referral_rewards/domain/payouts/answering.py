"""What follows from a rail's answer: the payout's next state and what happens to the books, a remark, or nothing.

Answers may come late, twice, or under an earlier key. A payout only moves along `TRANSITIONS`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import AT_REST, TRANSITIONS, PayoutState

_P = PayoutState
#: If the rail shows a payout in one of these states as paid after all, it goes to a person for review.
_UNPAID: Final = frozenset({_P.REFUSED, _P.WAITING_FUNDS, _P.CANCELLED})


class Ending(StrEnum):
    """What a payout's end does to its legs and the books. A payment that was given up is a loss if it was paid."""

    PAID = "paid"
    OWED_AGAIN = "owed_again"
    LOST = "lost"
    LOST_NO_MORE = "lost_no_more"


#: These post a payment that came back.
COMES_BACK: Final = frozenset({Ending.OWED_AGAIN, Ending.LOST_NO_MORE})


class CameBack(StrEnum):
    """Who took a payment back that its provider shows as fully returned."""

    BY_US = "by_us"
    WITHOUT_US = "without_us"
    PARTLY_BY_US = "partly_by_us"


@dataclass(frozen=True, slots=True)
class Said:
    """The state that a rail's answer leads to, the rail's reference, the reason, and the generation of the key that was
    asked about; None: whichever is current."""

    to: PayoutState
    reference: str | None = None
    why: str | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What the rail showed when the payout went to a person for review."""

    reference: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What the register knows of a payout beside its row.

    ``given_up``: it was sent, and people then cancelled every reward that it was to pay. ``shown`` is what people saw
    of it. ``paid_otherwise``: a person settled it as paid in another way than under its key, so that what the provider
    shows for that key says nothing about the payment. ``ours_minor`` is how much our own reversals took back at the
    provider, or may have, in minor units.
    """

    given_up: bool = False
    shown: tuple[Shown, ...] = ()
    paid_otherwise: bool = False
    ours_minor: int = 0


@dataclass(frozen=True, slots=True)
class Stays:
    """The answer changes nothing."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """The payout stays in its state, for this reason."""

    why: str | None


@dataclass(frozen=True, slots=True)
class Moves:
    """The payout's next state, why it is in it, the rail's reference if it is new, and what it does to the books."""

    to: PayoutState
    why: str | None = None
    reference: str | None = None
    ending: Ending | None = None


Change = Stays | Remarks | Moves


def follows(payout: Payout, said: Said, known: Known) -> Change:
    """Return what follows from a rail's answer.

    A payment after a refusal or cancellation, or under an earlier generation of the key, goes to a person for review.
    A payout settled in another way gets a remark that the rail paid as well.
    """
    of_another = said.generation not in (None, payout.generation)
    if known.given_up and _was_seen(said, known):
        return Stays()
    if said.to is _P.SETTLED and (payout.state in _UNPAID or of_another):
        why = f"the rail shows that it paid after all, as {said.reference}"
        return _along(payout, Said(_P.MANUAL_REVIEW, said.reference, why), known)
    if of_another:
        return Stays()
    if said.to is _P.RETURNED and (stays := _not_returned(payout, known)) is not None:
        return stays
    return _along(payout, said, known)


def paid(*, given_up: bool) -> Ending:
    """Return what a payment does to the books."""
    return Ending.LOST if given_up else Ending.PAID


def came_back(sent_minor: int, ours_minor: int) -> CameBack:
    """Return who took back a payment of ``sent_minor``; ``ours_minor`` is what our reversals took or may have taken."""
    if ours_minor >= sent_minor:
        return CameBack.BY_US
    return CameBack.PARTLY_BY_US if ours_minor > 0 else CameBack.WITHOUT_US


def _was_seen(said: Said, known: Known) -> bool:
    """Return whether a person has already seen what the rail shows of a payout that was given up.

    The payment may have been recovered since by something that the rail lists separately.
    """
    if said.to is _P.MANUAL_REVIEW:
        return Shown(said.reference, said.why) in known.shown
    return said.to is _P.SETTLED and said.reference in {each.reference for each in known.shown}


def _not_returned(payout: Payout, known: Known) -> Stays | Remarks | None:
    """Return what follows instead if the provider did not bounce what it shows as returned; None if it did."""
    if known.paid_otherwise:
        return Stays()
    match came_back(payout.amount_minor, known.ours_minor):
        case CameBack.BY_US:
            return Stays()
        case CameBack.PARTLY_BY_US:
            # It can't be known which of its rewards are owed again: a person must find out.
            ours = money.display(known.ours_minor, payout.currency)
            return Remarks(f"all of it came back at the rail, of which we took back no more than {ours}")
        case CameBack.WITHOUT_US:
            return None


def _along(payout: Payout, said: Said, known: Known) -> Remarks | Moves:
    """Return the move if the state may follow the current one, else a remark."""
    # A payout that was given up has nothing left to release: it goes back to cancelled.
    back = known.given_up and payout.state is _P.MANUAL_REVIEW and said.to is _P.REFUSED
    to = _P.CANCELLED if back else said.to
    if to is payout.state or to not in TRANSITIONS[payout.state]:
        return Remarks(_why_it_stays(payout, said))
    return Moves(to, said.why, said.reference, _ending(to, given_up=known.given_up))


def _why_it_stays(payout: Payout, said: Said) -> str | None:
    if said.to is _P.SETTLED and said.reference not in (None, payout.provider_reference):
        return f"it is {payout.state} here, and the rail shows that it paid after all, as {said.reference}"
    # The reason why it is at rest stays.
    return said.why or payout.why if payout.state in AT_REST else said.why


def _ending(to: PayoutState, *, given_up: bool) -> Ending | None:
    if to is _P.SETTLED:
        return paid(given_up=given_up)
    if to is _P.RETURNED:
        return Ending.LOST_NO_MORE if given_up else Ending.OWED_AGAIN
    return None
