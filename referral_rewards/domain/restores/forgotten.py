"""Payments that a restored register forgot, and what each means for a payout that is to be sent. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from referral_rewards.domain.books.reconciliation import Listed, ListedState, payout_of
from referral_rewards.domain.payouts.after_restore import Adopts, Goes, Reviews, Stance, Waits
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, NAMED_BY_PAYEE, title
from referral_rewards.domain.payouts.states import (
    Accepted,
    Paid,
    PaymentRequest,
    PayoutState,
    safe_to_send_again,
)


class PaymentState(StrEnum):
    """The state of a forgotten payment."""

    WAITING = "waiting"  # a person must say what it was, unless its own payout adopts it
    ASSIGNED = "assigned"  # a person said which payout it was, which has not adopted it yet
    ADOPTED = "adopted"  # a payout is settled by it
    DISOWNED = "disowned"  # a person said that it belongs to no payout of ours


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A payment at a rail that names a payout of ours and that the register lacks; the amount is in minor units.

    ``payee`` is ours; None: nobody knows whose the ``destination`` is, the rail's own name for it, if it told one.
    ``assigned_to`` is the payout that a person said it was, ``decision`` the decision that says so.
    """

    id: UUID
    rail: str
    payout_id: UUID
    reference: str
    payee: str | None
    destination: str | None
    amount_minor: int | None
    currency: str
    state: ListedState
    made_at: datetime | None = None
    assigned_to: UUID | None = None
    decision: UUID | None = None

    @property
    def names_a_payee(self) -> bool:
        return self.payee is not None


class Span(NamedTuple):
    """What was sent between these two instants may be forgotten: a restore lost what the register had since the first,
    and was found at the second."""

    restored_to: datetime
    found_at: datetime


@dataclass(frozen=True, slots=True)
class AfterRestore:
    """What a restore means for a rail: to which moment the register was restored, and when the rail was halted.

    ``reopened_at`` is when a person opened the rail again, None while it is halted. ``earlier`` are all restores.
    """

    restored_to: datetime
    halted_at: datetime
    reopened_at: datetime | None = None
    earlier: tuple[Span, ...] = ()

    @property
    def spans(self) -> tuple[Span, ...]:
        return (Span(self.restored_to, self.halted_at), *self.earlier)


def named_by(listed: Listed) -> UUID | None:
    """Return the payout of ours that a listed payment names; None if it names none, or no money is with its payee.

    Payout ids are derived from the business (UUID version 5), so an id of another kind is not ours.
    """
    if listed.takes_back or listed.state is ListedState.FAILED or listed.reversed_minor == listed.amount_minor:
        return None
    named = listed.payout or payout_of(listed.key)
    return named if named is not None and named.version == _DERIVED else None


def stance(
    payout: Payout,
    after: AfterRestore | None,
    forgotten: Sequence[Forgotten],
    now: datetime,
    sendable_since: datetime | None,
) -> Stance:
    """Return what a restore means for a payout that is about to be sent.

    ``forgotten`` are the payments of its rail, and its own of any rail, that no payout has adopted and nobody has
    disowned. Before ``sendable_since`` it can't have been sent under its current key, whatever the register forgot;
    None: nobody knows. In any case a payout is looked up before it is sent, if its rail can be asked.
    """
    if payout.state is PayoutState.ACCEPTED:
        return Goes()
    own = own_of(payout.id, forgotten)
    if len(own) > 1:
        return Reviews(
            f"the rail shows {len(own)} payments of it, which the register had forgotten", _since(own, after)
        )
    if own and own[0].rail != payout.rail:
        why = f"{title(own[0].rail)} shows a payment of it, which the register had forgotten"
        return Reviews(why, _since(own, after))
    if own:
        return Adopts(_shown(own[0], payout), _since(own, after))
    if any(_may_be_to(each, payout) for each in forgotten if each.assigned_to is None):
        return Waits("the rail shows a payment to this payee that the register had forgotten; a person must assign it")
    lost = [each for each in after.spans if _may_be_lost(payout, each, sendable_since, now)] if after else []
    if lost:
        why = "the register was restored, and the rail can't be asked whether it was paid"
        return Reviews(why, min(each.restored_to for each in lost))
    return Goes()


def own_of(payout: UUID, forgotten: Sequence[Forgotten]) -> list[Forgotten]:
    """Return the forgotten payments that are of this payout: a person said so, or it is the one that they name."""
    return [each for each in forgotten if payout == (each.assigned_to or each.payout_id)]


def _shown(own: Forgotten, payout: Payout) -> Paid | Accepted:
    """Return a forgotten payment as the rail's answer: an answer writes the right destination as the request does."""
    asked = PaymentRequest.of(payout.body).destination
    named = payout.payee if payout.rail in NAMED_BY_PAYEE else asked
    paid = Paid(own.reference, own.amount_minor, own.currency, asked if own.destination == named else own.destination)
    return paid if own.state is ListedState.PAID else Accepted(paid, "the rail is still carrying it out")


def _since(own: Sequence[Forgotten], after: AfterRestore | None) -> datetime:
    """Return since when the rail may have seen the payout: as early as it can have been, so that no key seems fresh."""
    known = [each.made_at for each in own if each.made_at is not None]
    return min([*known, *([after.restored_to] if after is not None else [])], default=_LONG_AGO)


def _may_be_to(each: Forgotten, payout: Payout) -> bool:
    """Return whether a forgotten payment may have gone to the payout's payee; one that names nobody may have."""
    if each.rail != payout.rail:
        return False
    if not each.names_a_payee:
        return True
    named = payout.payee if payout.rail in NAMED_BY_PAYEE else payout.body["destination"]
    return each.payee == payout.payee or (each.destination is not None and each.destination == named)


def _may_be_lost(payout: Payout, span: Span, sendable_since: datetime | None, now: datetime) -> bool:
    """Return whether a restore may have lost that the payout was paid, and its rail can't be asked.

    A key that was used by then may have been refused since, and the next one paid. One that was not used may have been,
    whenever the register heard of its approval again, unless the rail still knows it.
    """
    facts = CATALOGUE[payout.rail]
    if facts.looks_up and not facts.by_hand:
        return False
    if payout.key_used_at is not None:
        return payout.key_used_at < span.found_at
    if sendable_since is not None and sendable_since >= span.found_at:
        return False
    return facts.by_hand or not safe_to_send_again(facts.key_window, span.restored_to, now)


_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: The version of a UUID that is derived from a name.
_DERIVED: Final = 5
