"""Reconciliation: compares our payouts with a rail's payments, one payout at a time, to the minor unit. Pure.

A rail's list is separate evidence. It changes no payout; each difference goes to a person for review.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from referral_rewards.domain import money
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.rail_catalogue import Sight
from referral_rewards.domain.payouts.states import Accepted, Declined, Paid, PayoutState

_KEY: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-\d+)?", re.ASCII)

_S = PayoutState
#: The outcome is not known yet; whatever the rail shows may turn out to be it.
_OPEN: Final = frozenset({_S.SENDING, _S.UNKNOWN, _S.ACCEPTED})
#: A change that is dated so long before the rail was asked may have been committed after that: a step is dated
#: by when it began.
_A_STEP_TAKES: Final = timedelta(minutes=2)


class ReconciliationState(StrEnum):
    """The state of a reconciliation."""

    ASKED = "asked"
    LISTED = "listed"
    DONE = "done"
    FAILED = "failed"


#: Its workflow continues these.
UNFINISHED: Final = frozenset({ReconciliationState.ASKED, ReconciliationState.LISTED})


class ListedState(StrEnum):
    """The state of a payment at the rail."""

    PAID = "paid"
    UNDER_WAY = "under_way"
    FAILED = "failed"  # it was not paid, or all of it came back


@dataclass(frozen=True, slots=True)
class Listed:
    """One payment as a rail shows it, under its own ``reference``: the amount, the payee, and how much came back.

    ``payout`` is the payout that it names and ``key`` its idempotency key; both are None for a payment that we did not
    make. ``amount_minor`` is None if the rail shows no valid amount of that currency. An entry that ``takes_back`` is
    not a payment but the recovery of one, at a rail that lists both.
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
    """One page of a rail's list; ``next`` is where the next page starts, None at the end of the list."""

    payments: Sequence[Listed]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """A payout in our records. ``reversed_minor`` is what our clawbacks took back at the rail; ``reversing_minor`` is
    the amount of clawbacks whose outcome is not known yet. ``paid_otherwise``: a person settled it, and confirmed that
    it was paid in another way than under its key. ``moved_at`` is when it, or a clawback of it, changed last."""

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
    moved_at: datetime | None = None


class DifferenceKind(StrEnum):
    """The kind of a difference, or why two sides that do not agree are none."""

    OURS_ONLY = "ours_only"  # settled here, and the rail shows no payment
    THEIRS_ONLY = "theirs_only"  # paid by the rail, and by no payout of ours
    AMOUNT = "amount"
    CURRENCY = "currency"
    DESTINATION = "destination"
    STATE = "state"
    REVERSED = "reversed"  # the amount that came back differs from our records
    DUPLICATE = "duplicate"  # several payments of one payout, or one although it was paid in another way
    UNSEEN = "unseen"  # the rail gave no answer about it
    UNDER_WAY = "under_way"  # no difference: its outcome is not known yet
    CHANGED = "changed"  # no difference: it moved while the rail was asked

    @property
    def is_none(self) -> bool:
        """Whether it is no difference: the payment is under way, and a later comparison tells what became of it."""
        return self in (DifferenceKind.UNDER_WAY, DifferenceKind.CHANGED)


#: What the rail's list, which is as old as its first page, may show of a payment that moved since.
_OF_TIME: Final = frozenset({DifferenceKind.STATE, DifferenceKind.OURS_ONLY, DifferenceKind.REVERSED})


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: the payout, the payment or both, and what each side shows, in words."""

    kind: DifferenceKind
    payout: UUID | None
    reference: str | None
    ours: str
    theirs: str

    def __str__(self) -> str:
        about = f"payout {self.payout}" if self.payout else f"payment {self.reference}"
        beside = f" (payment {self.reference})" if self.payout and self.reference else ""
        return f"{self.kind}: {about}{beside}: ours {self.ours}, theirs {self.theirs}"


def compare(ours: Ours, theirs: Sequence[Listed], asked_at: datetime | None = None) -> list[Difference]:
    """Return how a payout differs from all payments that the rail shows for it, of any key and date.

    The rail was asked at ``asked_at`` or later. What is under way is told as such, and is no difference.
    """
    moved = asked_at is not None and ours.moved_at is not None and ours.moved_at >= asked_at - _A_STEP_TAKES
    if found := _differences(ours, theirs):
        old = {each.reference for each in theirs if each.state is ListedState.UNDER_WAY}
        return [
            _as_of_then(each) if moved and (each.kind in _OF_TIME or each.reference in old) else each for each in found
        ]
    if ours.state not in _OPEN:
        return []
    shown = next((each for each in theirs if not each.takes_back), None)
    held = f"{label('payout_state', ours.state)}, {_whole(ours)}"
    return [_differs(DifferenceKind.UNDER_WAY, ours, shown, held, _shown(shown) if shown else "none")]


def _as_of_then(found: Difference) -> Difference:
    return replace(found, kind=DifferenceKind.CHANGED)


def _differences(ours: Ours, theirs: Sequence[Listed]) -> list[Difference]:
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
    """Whether to ask the rail about the payout itself, because none of its payments is listed."""
    return not theirs and (ours.state is _S.SETTLED or (sight is Sight.OURS and ours.reference is not None))


def of_nobody(theirs: Listed) -> Difference | None:
    """Return the difference for a payment that belongs to no payout of ours; None if no money was paid by it."""
    if theirs.state is ListedState.FAILED:
        return None
    return Difference(DifferenceKind.THEIRS_ONLY, None, theirs.reference, "none", _shown(theirs))


def unseen(ours: Ours, why: str) -> Difference:
    """That the rail gave no answer about a payout."""
    return Difference(DifferenceKind.UNSEEN, ours.payout, ours.reference, label("payout_state", ours.state), why)


def as_listed(ours: Ours, answer: Paid | Accepted | Declined, asked_for: str | None) -> Listed:
    """Return a rail's answer about one payout as a listed payment. ``asked_for`` is the destination of its request: an
    answer writes the right destination as the request does."""
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
    """Return the payout of one of our keys, or of our note at the rail; None if the text is neither."""
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
    """Compare the returned amounts; of reversals with unknown outcome the rail may show any part."""
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
    """Whether a part of the payment is with its payee, or on its way there."""
    return theirs.state is not ListedState.FAILED and theirs.reversed_minor != theirs.amount_minor


def _differs(kind: DifferenceKind, ours: Ours, theirs: Listed | None, held: str, shown: str) -> Difference:
    return Difference(kind, ours.payout, theirs.reference if theirs else ours.reference, held, shown)


def _whole(ours: Ours) -> str:
    return money.display(ours.amount_minor, ours.currency)


def _shown(theirs: Listed) -> str:
    amount = money.display(theirs.amount_minor, theirs.currency)
    back = "taken back" if theirs.takes_back else label("listed_state", theirs.state)
    return f"{back}, {amount}"
