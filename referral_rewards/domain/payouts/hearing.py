"""What a rail's answer comes to: the same for a payment and for a reversal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from referral_rewards.domain import money
from referral_rewards.domain.payouts.advice import FUNDS, NO_ANSWER, until_the_next_poll, until_the_second_look
from referral_rewards.domain.payouts.moving import Intent, Reversal, ToSend
from referral_rewards.domain.payouts.rail_catalogue import SAY_WHAT_THEY_HOLD
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    PayoutState,
    ReversalAnswer,
    Reversed,
    TakenBack,
    Unfunded,
    Unknown,
    matches,
)

_LOST = "an earlier attempt is on record, the rail shows none, and it is not safe to send it again"


class Outcome(StrEnum):
    """What became of an intent at its rail. It differs if the rail shows something else than was asked; a payment is
    returned if it came back after it was made."""

    DONE = "done"
    DONE_IN_PART = "done_in_part"
    UNDER_WAY = "under_way"
    REFUSED = "refused"
    UNFUNDED = "unfunded"
    UNKNOWN = "unknown"
    DIFFERS = "differs"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Heard:
    """The outcome, the reason in one sentence, the rail's reference, the amount that a reversal took back, and when to
    ask again; None: not before something new is heard.

    ``adopts`` is what a reversal found taken back before, which none of ours accounted for.

    ``barred``: our account with the rail may not pay, whatever it holds. The rail is halted, because the next payment
    would fare no better, and neither would the thousand after it.
    """

    outcome: Outcome
    why: str | None = None
    reference: str | None = None
    amount_minor: int | None = None
    again_after: timedelta | None = None
    barred: bool = False
    adopts: TakenBack | None = None


@dataclass(frozen=True, slots=True)
class ShutOut:
    """The rail rejected our credentials: nothing is known of the intent, and the rail is halted."""

    why: str


@dataclass(frozen=True, slots=True)
class NotShown:
    """The rail shows no attempt although one may have been sent, and it must not be repeated."""


Hearing = Heard | ShutOut | NotShown


def hear(
    step: ToSend[PaymentRequest] | ToSend[Reversal], answer: Answer | ReversalAnswer | None, now: datetime
) -> Hearing:
    """Return what a rail's answer to an attempt comes to. Unknown is never taken for done or for refused."""
    match answer:
        case None:
            return NotShown()
        case Misconfigured(why):
            return ShutOut(why)
        case Unknown(why):
            return Heard(Outcome.UNKNOWN, why, again_after=NO_ANSWER)
        case Declined(why):
            return Heard(Outcome.REFUSED, why)
        case Unfunded(why, barred):
            told = step.rail in SAY_WHAT_THEY_HOLD and not barred
            return Heard(Outcome.UNFUNDED, why, again_after=FUNDS if told else None, barred=barred)
        case Reversed():
            return _taken_back(step.request, answer)
        case Paid() as paid:
            if _as_asked(step.request, paid):
                return Heard(Outcome.DONE, reference=paid.reference)
            return differs(step.request, paid)
        case Accepted(order, why):
            if _as_asked(step.request, order):
                until = until_the_next_poll(step.key_used_at, now)
                return Heard(Outcome.UNDER_WAY, why, order.reference, again_after=until)
            return differs(step.request, order)


def seen_at_rest(state: PayoutState, asked: PaymentRequest, answer: Answer | None) -> Heard | None:
    """Return what a payout at rest comes to that was looked up again; None if nothing."""
    match answer:
        case Paid() as paid if matches(asked, paid):
            return Heard(Outcome.DONE, reference=paid.reference)
        case Paid() as shown if state in (PayoutState.REFUSED, PayoutState.CANCELLED):
            return differs(asked, shown)
        case Declined(why) if state is PayoutState.SETTLED:
            return Heard(Outcome.RETURNED, why)
        case Declined(why) if state is PayoutState.MANUAL_REVIEW:
            return Heard(Outcome.REFUSED, why)
    return None


def differs(asked: PaymentRequest | Reversal, shown: Paid) -> Heard:
    """Return the outcome of a payment that the rail shows under our key and that is not the one that was asked."""
    amount = money.display(shown.amount_minor, shown.currency)
    destination = asked.destination if isinstance(asked, PaymentRequest) else None
    whom = "" if shown.destination == destination else " to another payee"
    return Heard(Outcome.DIFFERS, f"the rail shows {amount}{whom} under our key, not what was asked", shown.reference)


def after_a_miss(intent: Intent, now: datetime, *, once: bool) -> Heard:
    """Return what follows if the rail shows no attempt: it is looked up once more, later, and then goes to a person.

    With ``once`` it goes to a person at the first time: the rail can't be asked again.
    """
    left = None if once else until_the_second_look(intent.missed_at, now)
    return Heard(Outcome.DIFFERS if left is None else Outcome.UNKNOWN, _LOST, again_after=left)


def lets_us_in(hearing: Hearing) -> bool:
    """Return whether the rail accepted our credentials and lets our account pay. No answer does not say so."""
    if isinstance(hearing, Heard):
        return hearing.outcome is not Outcome.UNKNOWN and not hearing.barred
    return not isinstance(hearing, ShutOut)


def halts(hearing: Hearing) -> str | None:
    """Return why an answer halts its rail; None if it does not."""
    if isinstance(hearing, ShutOut) or (isinstance(hearing, Heard) and hearing.barred):
        return hearing.why
    return None


def _as_asked(asked: PaymentRequest | Reversal, shown: Paid) -> bool:
    return isinstance(asked, PaymentRequest) and matches(asked, shown)


def _taken_back(asked: PaymentRequest | Reversal, shown: Reversed) -> Heard:
    """Return the outcome of a reversal that the rail shows. It may take back less than was asked, and never more."""
    amount, taken_minor = money.display(shown.amount_minor, shown.currency), shown.amount_minor
    if not isinstance(asked, Reversal) or not _is_part_of(asked, shown) or taken_minor is None:
        return Heard(Outcome.DIFFERS, f"the rail shows {amount} taken back under our key, not what was asked")
    if taken_minor == asked.amount_minor:
        return Heard(Outcome.DONE, None, shown.reference, taken_minor, adopts=shown.adopts)
    why = f"the rail took back {amount} of it" if shown.adopts is None else f"{amount} of it had been taken back before"
    return Heard(Outcome.DONE_IN_PART, why, shown.reference, taken_minor, adopts=shown.adopts)


def _is_part_of(asked: Reversal, shown: Reversed) -> bool:
    return shown.currency == asked.request.currency and 0 < (shown.amount_minor or 0) <= asked.amount_minor
