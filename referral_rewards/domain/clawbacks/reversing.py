"""What becomes of a reversal whose turn it is, and of one that its rail answered.

It goes the way of a payment (`domain.payouts.moving`). What differs stands here: what authorises it, and what its end
leaves to be recovered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from referral_rewards.domain.clawbacks.clawback import Clawback
from referral_rewards.domain.clawbacks.states import TRANSITIONS, UNDER_WAY, ClawbackState
from referral_rewards.domain.payouts.hearing import Heard, Hearing, NotShown, Outcome, ShutOut, after_a_miss
from referral_rewards.domain.payouts.moving import (
    Halt,
    not_as_frozen,
    not_connected,
    not_its_key,
    refused_us,
    waits_for_its_rail,
)
from referral_rewards.domain.payouts.states import WAS_PAID, LegState, PayoutState, TakenBack
from referral_rewards.domain.payouts.taking_back import AccountedFor

_S = ClawbackState
#: A reversal as old as this is looked up before it is first sent: a restored register may have forgotten it.
_OLD: Final = timedelta(hours=1)
#: The state that each outcome leads to.
_STATES: Final[Mapping[Outcome, ClawbackState]] = {
    Outcome.DONE: _S.REVERSED,
    Outcome.DONE_IN_PART: _S.PARTLY_REVERSED,
    Outcome.REFUSED: _S.UNRECOVERABLE,
    Outcome.UNFUNDED: _S.UNRECOVERABLE,
    Outcome.UNDER_WAY: _S.UNKNOWN,
    Outcome.UNKNOWN: _S.UNKNOWN,
    Outcome.DIFFERS: _S.MANUAL_REVIEW,
}


@dataclass(frozen=True, slots=True)
class Reversed:
    """The payment that a reversal takes back, as its row has it. ``settled_as`` are the rail's references under which
    its history shows it settled."""

    rail: str
    state: PayoutState
    leg_state: LegState
    body: Mapping[str, object]
    provider_reference: str | None
    settled_as: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that a reversal depends on.

    ``decided``: a verified decision orders exactly this one. ``booked``: the books show that it was taken back.
    ``claimed``: they show that its payee owes it. ``connected``: this process can call its rail.
    ``others`` are the other reversals of that payment.
    """

    clawback: Clawback
    payment: Reversed
    program: str
    decided: bool
    booked: bool
    claimed: bool
    halt: Halt | None
    connected: bool = True
    others: tuple[AccountedFor, ...] = ()


@dataclass(frozen=True, slots=True)
class Waits:
    """It stays as it is until it is tried again; None: not before something wakes it."""

    why: str
    again_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Remarks:
    """Its state after an answer that does not end it, and when it is tried again. ``missed``: the rail shows no
    attempt."""

    to: ClawbackState
    why: str
    again_after: timedelta | None = None
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Ends:
    """It ends in this state, with so much recovered. What is not recovered is for a person to decide again.

    ``adopts``: the rail had taken it back before, and no reversal of ours accounted for it.
    """

    to: ClawbackState
    why: str | None = None
    reference: str | None = None
    recovered_minor: int = 0
    adopts: TakenBack | None = None


@dataclass(frozen=True, slots=True)
class Sends:
    """The attempt is recorded, and then the rail is called. ``probes``: it is the probe of a halted rail."""

    looks_first: bool
    probes: bool


Change = Waits | Remarks | Ends


def decide(its: Dossier, now: datetime) -> Change | Sends:
    """Return what becomes of a reversal. The first reason that stops it counts."""
    clawback = its.clawback
    if clawback.state not in UNDER_WAY:
        return Waits(clawback.why or "nothing more to do")
    if (why := flaw(its)) is not None:
        return Remarks(_S.MANUAL_REVIEW, why)
    if its.payment.leg_state not in WAS_PAID or its.payment.state is not PayoutState.SETTLED:
        if clawback.first_sent_at is None:
            return Ends(_S.UNRECOVERABLE, "its payment came back by itself")
        return Remarks(_S.MANUAL_REVIEW, "its payment came back while it was being taken back")
    wait = waits_for_its_rail(its.halt, now) if its.connected else not_connected(its.payment.rail)
    if wait is not None:
        return Waits(*wait)
    looks_first = clawback.first_sent_at is not None or now - clawback.created_at > _OLD
    return Sends(looks_first, probes=its.halt is not None)


def flaw(its: Dossier) -> str | None:
    """Return in one sentence why it must not be sent; None if it may be. Nothing that its own row says is trusted."""
    clawback, payment = its.clawback, its.payment
    if (why := not_as_frozen(clawback) or not_its_key(clawback)) is not None:
        return why
    if clawback.generation != 1:
        return "the stored key is not its own"
    if (clawback.body["pays_back"], clawback.body["amount_minor"]) != (payment.body, clawback.amount_minor):
        return "it is not of the payment that was made"
    if len(payment.settled_as) != 1 or set(payment.settled_as) != {
        payment.provider_reference,
        clawback.body["reference"],
    }:
        # With another reference a different payment would be reversed.
        return "its payment did not settle under the reference by which it would be taken back"
    if not its.decided:
        return "no signed decision of somebody with the authority takes it back"
    if its.booked:
        # The books are append-only; the row can only have been changed by hand.
        return "the books show that it was taken back already"
    return None


def follows(clawback: Clawback, rail: str, hearing: Hearing, now: datetime, asks_again_after: timedelta) -> Change:
    """Return what follows from what its rail says, which may come late or twice.

    A rail that shut us out is asked again after ``asks_again_after``.
    """
    if clawback.state not in UNDER_WAY:
        return Waits(clawback.why or "")
    if isinstance(hearing, ShutOut):
        return Remarks(clawback.state, refused_us(rail, hearing.why), asks_again_after)
    heard = after_a_miss(clawback, now, once=False) if isinstance(hearing, NotShown) else hearing
    return _after(clawback, heard, missed=isinstance(hearing, NotShown))


def _after(clawback: Clawback, heard: Heard, *, missed: bool) -> Change:
    to = _STATES[heard.outcome]
    if to in (_S.UNKNOWN, _S.MANUAL_REVIEW):
        return Remarks(to, heard.why or "", heard.again_after, missed)
    assert to in TRANSITIONS[clawback.state], (clawback.state, to)
    return Ends(to, heard.why, heard.reference, heard.amount_minor or 0, heard.adopts)


def found_by_a_person(clawback: Clawback, reference: str | None) -> Ends:
    """Return the end of a reversal in review as a person found it at the provider; without a reference it was not
    taken back."""
    if reference is None:
        return Ends(_S.UNRECOVERABLE, "a person found that it was not taken back")
    return Ends(_S.REVERSED, None, reference, clawback.amount_minor)
