"""A payout and its legs: its id, its key, the states of both, and the answers that a rail can give."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal
from uuid import UUID, uuid5


class LegState(StrEnum):
    """The state of a leg."""

    RESERVED = "reserved"
    TAX_HOLD = "tax_hold"
    WAITING_METHOD = "waiting_method"  # nobody bound it to a destination that its payee has now
    PAID = "paid"
    CANCELLED = "cancelled"
    CLAWED_BACK = "clawed_back"


_L = LegState

#: It is still owed: no payment of it has ended.
OWED: Final = frozenset({_L.RESERVED, _L.TAX_HOLD, _L.WAITING_METHOD})
#: It was paid, even if it was taken back since.
WAS_PAID: Final = frozenset({_L.PAID, _L.CLAWED_BACK})
#: It no longer counts in caps and budget, and its order may be rewarded again.
FREED: Final = frozenset({_L.CANCELLED, _L.CLAWED_BACK})


_PAYOUT_NAMESPACE: Final = UUID("5f6b7e1e-0d0c-5b53-9a3f-6a0f6a0d2c11")


class PayoutState(StrEnum):
    """The state of a payout. It is *committed* once its first attempt is on record (`first_sent_at`)."""

    PLANNED = "planned"
    APPROVED = "approved"
    SENDING = "sending"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    RETURNED = "returned"
    REFUSED = "refused"
    WAITING_FUNDS = "waiting_funds"
    UNKNOWN = "unknown"
    MANUAL_REVIEW = "manual_review"
    CANCELLED = "cancelled"


_S = PayoutState

#: Which state may follow which; webhooks and polls only move forward along these edges.
TRANSITIONS: Final[Mapping[PayoutState, frozenset[PayoutState]]] = {
    _S.PLANNED: frozenset({_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED}),
    # Back to planned: the cycle that it belongs to was stopped.
    _S.APPROVED: frozenset({_S.PLANNED, _S.SENDING, _S.SETTLED, _S.MANUAL_REVIEW, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.ACCEPTED, _S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.UNKNOWN, _S.MANUAL_REVIEW}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.MANUAL_REVIEW}),
    # Refused for lack of funds: new funds, or a person, release the next generation of its key.
    _S.WAITING_FUNDS: frozenset({_S.APPROVED, _S.CANCELLED, _S.MANUAL_REVIEW}),
    _S.ACCEPTED: frozenset({_S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.MANUAL_REVIEW}),
    _S.REFUSED: frozenset({_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED}),
    _S.MANUAL_REVIEW: frozenset({_S.APPROVED, _S.SETTLED, _S.REFUSED, _S.CANCELLED}),
    # Approved again, because its cancelled plan was never sent; or its provider paid it after all.
    # Refused again: its approval fell after its refusal, and what it pays was approved anew.
    _S.CANCELLED: frozenset({_S.PLANNED, _S.APPROVED, _S.REFUSED, _S.MANUAL_REVIEW}),
    _S.SETTLED: frozenset({_S.RETURNED}),
    # The provider bounced the payment: that is a refusal, too.
    _S.RETURNED: frozenset({_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED}),
}

#: States that record a provider's definitive refusal: only these allow a next generation of the key.
REFUSALS: Final = frozenset({_S.REFUSED, _S.WAITING_FUNDS, _S.RETURNED})
#: Only a person can move these on.
AT_REST: Final = frozenset({_S.SETTLED, _S.RETURNED, _S.REFUSED, _S.MANUAL_REVIEW, _S.CANCELLED})
#: Its workflow continues these without a person.
UNDER_WAY: Final = frozenset({_S.APPROVED, _S.SENDING, _S.ACCEPTED, _S.WAITING_FUNDS, _S.UNKNOWN})
#: While no attempt is on record, these can still be cancelled.
UNSENT: Final = frozenset({_S.PLANNED, _S.APPROVED})
#: An attempt may be made at any moment, and no answer has come.
BEING_SENT: Final = frozenset({_S.APPROVED, _S.SENDING})
#: It may have been paid, and the outcome is unknown.
IN_DOUBT: Final = frozenset({_S.SENDING, _S.UNKNOWN})
#: It waits for its rail.
WAITING_FOR_ITS_RAIL: Final = frozenset({_S.APPROVED, _S.SENDING, _S.UNKNOWN, _S.WAITING_FUNDS})
#: It was paid or cancelled. In any other state its amount counts in the current tax year.
OVER: Final = frozenset({_S.SETTLED, _S.CANCELLED})
#: A person must review it; one of unknown outcome only after some time.
FOR_A_PERSON: Final = frozenset({_S.MANUAL_REVIEW, _S.REFUSED, _S.RETURNED, _S.WAITING_FUNDS, _S.UNKNOWN})


#: No payment counts as made or under way: its provider refused or returned it definitively, or it was given up.
UNCOUNTED: Final = REFUSALS | {_S.CANCELLED}
#: A payment by hand waits for people: for its instruction to be exported, or for their word on it.
FOR_HANDS: Final = frozenset({_S.APPROVED, _S.ACCEPTED})
#: The instruction of a payment by hand was exported, and nobody has said whether it was carried out.
NOT_SAID: Final = frozenset({_S.ACCEPTED, _S.MANUAL_REVIEW})


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """The request to a rail, frozen before the first attempt and the same at every later one."""

    payout_id: UUID
    payee: str
    amount_minor: int
    currency: str
    destination: str | None
    program: str
    referral: str

    def body(self) -> dict[str, Any]:
        """Return the request as the JSON value that is stored and hashed."""
        return {
            "payout": str(self.payout_id),
            "payee": self.payee,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "destination": self.destination,
            "program": self.program,
            "referral": self.referral,
        }

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "PaymentRequest":
        """Return the request from its stored body."""
        fields = {
            name: body[name] for name in ("payee", "amount_minor", "currency", "destination", "program", "referral")
        }
        return cls(payout_id=UUID(body["payout"]), **fields)


def body_hash(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the canonical body: a request that was tampered with is not sent."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Paid:
    """The rail says that it paid, under its own reference: the amount and the destination.

    ``amount_minor`` is None if the rail shows no valid amount of that currency. ``destination`` is written as in the
    request if it is the same one.
    """

    reference: str
    amount_minor: int | None
    currency: str
    destination: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rail accepted the order and will report the outcome later: it has neither paid nor refused."""

    order: Paid
    why: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The rail says definitively that it did not and will not pay this request, or that a payment was returned.

    ``code`` is the rail's own code for the reason.
    """

    why: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Unfunded:
    """The rail did not pay this request, and will not under this key: our account with it does not hold enough.

    ``barred``: it is our account itself that may not pay, whatever it holds. No other payment would go through.
    """

    why: str
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It is unknown whether the rail paid. Never treated as paid or as refused.

    ``for_good``: sending the same again would only bring the same answer. Looking up may still tell.
    """

    why: str
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The rail rejects our credentials or settings. The request itself is not refused, and keeps its key."""

    why: str


Answer = Paid | Accepted | Declined | Unfunded | Unknown | Misconfigured


@dataclass(frozen=True, slots=True)
class Handed:
    """What the rail issued for the payee alone: a link to a gift card, or a code.

    ``what`` is the payee's secret; ``reference`` is the provider's reference of it.
    """

    kind: Literal["link", "code"]
    what: str = field(repr=False)
    reference: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A part of a payment that the rail shows as taken back, under its own reference.

    ``key`` is that of our reversal; None: it was made by hand, or the rail keeps no key.
    """

    reference: str
    amount_minor: int | None
    currency: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Reversed:
    """The rail took back this amount of a payment, under its own reference.

    ``adopts``: it was taken back before, and no reversal of ours accounted for it; now this one does.
    """

    reference: str
    amount_minor: int | None
    currency: str
    adopts: TakenBack | None = None


#: A rail's answer to a reversal; declined means that the rest of the payment can't be recovered from it.
ReversalAnswer = Reversed | Declined | Unknown | Misconfigured


def payout_id(referral: str, role: str, round_: int = 1) -> UUID:
    """Return the id of the payout of one leg that is paid at once: the same for every attempt, reset and replay.

    A referral that was paid, clawed back and reopened is paid again in its next round.

    The order is left out, although SPEC §7 names it. Within a round each role is paid once, whichever order it is for.
    If the payment for one order is refused and the next order takes its place, that is a new generation of the same
    payout, and what was refused is looked up before. Under an id of its own it would go out beside a payment that its
    provider made after all.
    """
    name = f"{referral}\x00{role}" if round_ == 1 else f"{referral}\x00{role}\x00{round_}"
    return uuid5(_PAYOUT_NAMESPACE, name)


def provider_key(payout: UUID, generation: int) -> str:
    """Return the idempotency key sent to a rail; only a recorded definitive refusal creates a new generation."""
    return f"{payout}-{generation}"


def counts(state: PayoutState, generation: int, first_sent_at: datetime | None, key_used_at: datetime | None) -> bool:
    """Whether a payment counts as committed: from its first attempt until its provider refused or returned it.

    A later generation counts from its own first attempt, because every earlier one was refused.
    """
    if first_sent_at is None or state in UNCOUNTED:
        return False
    return generation == 1 or key_used_at is not None or state not in (_S.APPROVED, _S.MANUAL_REVIEW)


def matches(request: PaymentRequest, found: Paid) -> bool:
    """Whether a payment that the rail shows is the requested one: the exact amount, to the same destination."""
    asked = (request.amount_minor, request.currency, request.destination)
    return (found.amount_minor, found.currency, found.destination) == asked


def safe_to_send_again(key_window: timedelta | None, key_used_at: datetime | None, now: datetime) -> bool:
    """Whether the rail still knows the key, so that the same request under it can't pay a second time.

    ``key_window`` is how long it remembers a key (`RailFacts`; None: for ever). ``key_used_at`` is when it may first
    have seen this key; None: it can't have.
    """
    return key_window is None or key_used_at is None or now - key_used_at < key_window
