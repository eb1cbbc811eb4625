"""Comparing what we hold as paid with what a rail shows: pure, one payout at a time, to the unit.

A rail's list is evidence of its own. What it shows changes no payout; each difference is put before a person.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from referral_rewards.domain import money
from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.rail_catalogue import Sight
from referral_rewards.domain.payouts.states import Accepted, Declined, Paid, PayoutState

_KEY: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-\d+)?", re.ASCII)

_S = PayoutState
#: The outcome is still being found out; whatever the rail shows may be what comes of it.
_OPEN: Final = frozenset({_S.SENDING, _S.UNKNOWN, _S.ACCEPTED})


class ReconciliationState(StrEnum):
    """How far a reconciliation came."""

    ASKED = "asked"
    LISTED = "listed"
    DONE = "done"
    FAILED = "failed"


#: Its workflow goes on with these.
UNFINISHED: Final = frozenset({ReconciliationState.ASKED, ReconciliationState.LISTED})


class ListedState(StrEnum):
    """Where a payment stands at the rail."""

    PAID = "paid"
    UNDER_WAY = "under_way"
    FAILED = "failed"  # it was not paid, or all of it came back


@dataclass(frozen=True, slots=True)
class Listed:
    """One payment as a rail shows it, under its own ``reference``: what, to whom, and how much of it came back.

    ``payout`` is the one that it says it is of, ``key`` the idempotency key that it bears; None where it bears neither:
    it was not we who made it. ``amount_minor`` is None where it is no amount of that currency. One that ``takes_back``
    is no payment but the recovery of one, at a rail that lists both.
    """

    reference: str
    payout: UUID | None
    key: str | None
    amount_minor: int | None
    currency: str
    destination: str | None
    state: ListedState = ListedState.PAID
    reversed_minor: int = 0
    at: datetime | None = None
    takes_back: bool = False


@dataclass(frozen=True, slots=True)
class ListedPage:
    """What a rail listed at one request; ``next`` is where it goes on, None at the end of the list."""

    payments: Sequence[Listed]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """A payout as we hold it. ``reversed_minor`` is what our clawbacks took back at the rail, ``reversing_minor`` what
    those took or did not take whose outcome is still being found out. ``paid_otherwise``: a person's word settled it,
    that it was paid in some other way than under its key."""

    payout: UUID
    key: str
    state: PayoutState
    amount_minor: int
    currency: str
    destination: str | None
    reference: str | None = None
    reversed_minor: int = 0
    reversing_minor: int = 0
    paid_otherwise: bool = False


class DifferenceKind(StrEnum):
    """What does not agree."""

    OURS_ONLY = "ours_only"  # settled here, and the rail shows no payment
    THEIRS_ONLY = "theirs_only"  # paid by the rail, and by no payout of ours
    AMOUNT = "amount"
    CURRENCY = "currency"
    DESTINATION = "destination"
    STATE = "state"
    REVERSED = "reversed"  # not as much came back as we hold
    DUPLICATE = "duplicate"  # one payout, and several payments, or one beside what was paid in another way
    UNSEEN = "unseen"  # the rail gave no answer about it


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree: of a payout, a payment or both, and what each side says of it, in words."""

    kind: DifferenceKind
    payout: UUID | None
    reference: str | None
    ours: str
    theirs: str

    def __str__(self) -> str:
        about = f"payout {self.payout}" if self.payout else f"payment {self.reference}"
        beside = f" (payment {self.reference})" if self.payout and self.reference else ""
        return f"{self.kind}: {about}{beside}: ours {self.ours}, theirs {self.theirs}"


def compare(ours: Ours, theirs: Sequence[Listed]) -> list[Difference]:
    """How a payout differs from all that the rail shows of it, whatever key each bears and whenever it was made."""
    payments = [each for each in theirs if not each.takes_back]
    standing = [each for each in payments if _left(each)]
    chosen = min(payments, key=lambda each: (each.key != ours.key, not _left(each), each.reference), default=None)
    found = [
        _differs(DifferenceKind.DUPLICATE, ours, each, f"one payment of {_whole(ours)}", _shown(each))
        for each in standing
        if each is not chosen
    ]
    if ours.paid_otherwise and chosen is not None and chosen.reference != ours.reference and _left(chosen):
        found.append(_differs(DifferenceKind.DUPLICATE, ours, chosen, f"{_whole(ours)} in another way", _shown(chosen)))
    if ours.state is _S.SETTLED and chosen is None:
        return [*found, _differs(DifferenceKind.OURS_ONLY, ours, None, f"settled, {_whole(ours)}", "none")]
    if chosen is None:
        return found
    if ours.state is _S.SETTLED or (ours.state in _OPEN and chosen.state is not ListedState.FAILED):
        return [*found, *_of_payment(ours, chosen), *_of_reversal(ours, chosen, theirs)]
    if ours.state not in _OPEN and _left(chosen):
        found.append(_differs(DifferenceKind.STATE, ours, chosen, label("payout_state", ours.state), _shown(chosen)))
    return found


def to_be_asked_for(ours: Ours, theirs: Sequence[Listed], sight: Sight) -> bool:
    """Whether a rail is to be asked for the payout by itself, for nothing of it is listed."""
    return not theirs and (ours.state is _S.SETTLED or (sight is Sight.OURS and ours.reference is not None))


def of_nobody(theirs: Listed) -> Difference | None:
    """The difference that a payment makes which is of no payout of ours; None if it came to nothing."""
    if theirs.state is ListedState.FAILED:
        return None
    return Difference(DifferenceKind.THEIRS_ONLY, None, theirs.reference, "none", _shown(theirs))


def unseen(ours: Ours, why: str) -> Difference:
    """That the rail gave no answer about a payout."""
    return Difference(DifferenceKind.UNSEEN, ours.payout, ours.reference, label("payout_state", ours.state), why)


def as_listed(ours: Ours, answer: Paid | Accepted | Declined, asked_for: str | None) -> Listed:
    """What a rail answered when it was asked for one payout, whose request names ``asked_for`` as its destination:
    in an answer the right payee is told in the request's own terms."""
    bare = Listed(ours.reference or ours.key, ours.payout, ours.key, ours.amount_minor, ours.currency, ours.destination)
    if isinstance(answer, Declined):
        return replace(bare, state=ListedState.FAILED)
    shown = answer.order if isinstance(answer, Accepted) else answer
    return replace(
        bare,
        reference=shown.reference,
        amount_minor=shown.amount_minor,
        currency=shown.currency,
        destination=ours.destination if shown.destination == asked_for else shown.destination,
        state=ListedState.UNDER_WAY if isinstance(answer, Accepted) else ListedState.PAID,
    )


def payout_of(key: str | None) -> UUID | None:
    """The payout that a key of ours, or a note of ours at the rail, is of; None if it is none."""
    match = _KEY.fullmatch(key or "")
    return UUID(match[1]) if match else None


def _of_payment(ours: Ours, theirs: Listed) -> list[Difference]:
    found = []
    if ours.state is _S.SETTLED and theirs.state is not ListedState.PAID and not _all_came_back(ours, theirs):
        found.append(_differs(DifferenceKind.STATE, ours, theirs, "settled", theirs.state))
    if theirs.currency != ours.currency:
        found.append(_differs(DifferenceKind.CURRENCY, ours, theirs, ours.currency, theirs.currency or "none"))
    elif theirs.amount_minor != ours.amount_minor:
        shown = money.display(theirs.amount_minor, theirs.currency)
        found.append(_differs(DifferenceKind.AMOUNT, ours, theirs, _whole(ours), shown))
    if theirs.destination != ours.destination:
        found.append(
            _differs(DifferenceKind.DESTINATION, ours, theirs, ours.destination or "any", theirs.destination or "any")
        )
    return found


def _of_reversal(ours: Ours, chosen: Listed, theirs: Sequence[Listed]) -> list[Difference]:
    """Of what is still being found out, the rail may show any part."""
    if chosen.state is ListedState.FAILED or chosen.amount_minor is None:
        return []
    back = chosen.reversed_minor + sum(each.amount_minor or 0 for each in theirs if each.takes_back)
    if ours.reversed_minor <= back <= ours.reversed_minor + ours.reversing_minor:
        return []
    held = f"{money.display(ours.reversed_minor, ours.currency)} taken back"
    return [_differs(DifferenceKind.REVERSED, ours, chosen, held, f"{money.display(back, ours.currency)} taken back")]


def _all_came_back(ours: Ours, theirs: Listed) -> bool:
    back = ours.reversed_minor + ours.reversing_minor
    return theirs.state is ListedState.FAILED and back >= ours.amount_minor


def _left(theirs: Listed) -> bool:
    """Whether something of the payment is with its payee, or on its way there."""
    return theirs.state is not ListedState.FAILED and theirs.reversed_minor != theirs.amount_minor


def _differs(kind: DifferenceKind, ours: Ours, theirs: Listed | None, held: str, shown: str) -> Difference:
    return Difference(kind, ours.payout, theirs.reference if theirs else ours.reference, held, shown)


def _whole(ours: Ours) -> str:
    return money.display(ours.amount_minor, ours.currency)


def _shown(theirs: Listed) -> str:
    amount = money.display(theirs.amount_minor, theirs.currency)
    back = "taken back" if theirs.takes_back else label("listed_state", theirs.state)
    return f"{back}, {amount}"
