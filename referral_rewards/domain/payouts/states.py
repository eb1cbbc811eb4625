"""A payout's life: its name, its key, its states, and the answers that a rail can give."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal
from uuid import UUID, uuid5

_PAYOUT_NAMESPACE: Final = UUID("5f6b7e1e-0d0c-5b53-9a3f-6a0f6a0d2c11")


class PayoutState(StrEnum):
    """Where a payout stands. A payout is *committed* once its first attempt is on record (`first_sent_at`)."""

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
    # Refused for want of funds: that they are there, or a person, releases the next generation of its key.
    _S.WAITING_FUNDS: frozenset({_S.APPROVED, _S.CANCELLED, _S.MANUAL_REVIEW}),
    _S.ACCEPTED: frozenset({_S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.MANUAL_REVIEW}),
    _S.REFUSED: frozenset({_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED}),
    _S.MANUAL_REVIEW: frozenset({_S.APPROVED, _S.SETTLED, _S.REFUSED, _S.CANCELLED}),
    # Approved anew after its cancelled plan was never sent; or its provider paid it after all.
    _S.CANCELLED: frozenset({_S.PLANNED, _S.APPROVED, _S.MANUAL_REVIEW}),
    _S.SETTLED: frozenset({_S.RETURNED}),
    # The provider bounced what it had paid: that is a refusal, too.
    _S.RETURNED: frozenset({_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED}),
}

#: What a provider's definitive refusal looks like on record: only after one of these is there a next generation.
REFUSALS: Final = frozenset({_S.REFUSED, _S.WAITING_FUNDS, _S.RETURNED})
#: Nothing more happens to these without a person.
AT_REST: Final = frozenset({_S.SETTLED, _S.RETURNED, _S.REFUSED, _S.MANUAL_REVIEW, _S.CANCELLED})
#: Its workflow goes on with these by itself.
UNDER_WAY: Final = frozenset({_S.APPROVED, _S.SENDING, _S.ACCEPTED, _S.WAITING_FUNDS, _S.UNKNOWN})
#: As long as no attempt is on record, these can still be taken back.
UNSENT: Final = frozenset({_S.PLANNED, _S.APPROVED})
#: An attempt is made at any moment, and no answer has come.
BEING_SENT: Final = frozenset({_S.APPROVED, _S.SENDING})
#: It may have been paid, and nobody has said so.
IN_DOUBT: Final = frozenset({_S.SENDING, _S.UNKNOWN})
#: Its rail has to do something before it goes on.
WAITING_FOR_ITS_RAIL: Final = frozenset({_S.APPROVED, _S.SENDING, _S.UNKNOWN, _S.WAITING_FUNDS})
#: It was paid or given up; while it stands anywhere else, what it pays counts in the tax year.
OVER: Final = frozenset({_S.SETTLED, _S.CANCELLED})
#: A person is to look at it; at one of unknown outcome once that has lasted.
FOR_A_PERSON: Final = frozenset({_S.MANUAL_REVIEW, _S.REFUSED, _S.RETURNED, _S.WAITING_FUNDS, _S.UNKNOWN})


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What a rail is asked to do, frozen before the first attempt and the same at every later one."""

    payout_id: UUID
    payee: str
    amount_minor: int
    currency: str
    destination: str | None
    program: str
    referral: str

    def body(self) -> dict[str, Any]:
        """The request as the JSON value that is stored and hashed."""
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
        """The request from its stored body."""
        fields = {
            name: body[name] for name in ("payee", "amount_minor", "currency", "destination", "program", "referral")
        }
        return cls(payout_id=UUID(body["payout"]), **fields)


def body_hash(body: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical body: a request that was tampered with is not sent."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Paid:
    """The rail says that it paid, under its own reference: what, and to whom.

    ``amount_minor`` is None where what the rail shows is no amount of that currency; ``destination`` is told in the
    request's own terms wherever it is the same one.
    """

    reference: str
    amount_minor: int | None
    currency: str
    destination: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rail took the order and will tell later what became of it: it neither paid yet nor refused."""

    order: Paid
    why: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The rail says definitively that it did not and will not pay this request; of what it had paid: that it came back.

    ``code`` is its own word for it.
    """

    why: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Unfunded:
    """The rail did not pay this request, and will not under this key: our account with it does not hold enough."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it paid. Never folded into either of the others."""

    why: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The rail does not let us in. That says nothing about the request: it keeps its key and is refused nothing."""

    why: str


Answer = Paid | Accepted | Declined | Unfunded | Unknown | Misconfigured


@dataclass(frozen=True, slots=True)
class Handed:
    """What the rail gave for the payee, and is of use to nobody else: a link to a gift card, or a code.

    ``what`` is a secret of the payee's; ``reference`` is the provider's name of it.
    """

    kind: Literal["link", "code"]
    what: str = field(repr=False)
    reference: str


@dataclass(frozen=True, slots=True)
class Reversed:
    """The rail took back so much of a payment, under its own reference."""

    reference: str
    amount_minor: int | None
    currency: str


#: What a rail says to a reversal; declined: what is left of the payment can't be had back from it.
ReversalAnswer = Reversed | Declined | Unknown | Misconfigured


def payout_id(referral: str, role: str, round_: int = 1) -> UUID:
    """The name of the payout of one leg paid at once: the same for every attempt, reset and replay.

    A referral that was paid, clawed back and reopened is paid anew in its next round.
    """
    name = f"{referral}\x00{role}" if round_ == 1 else f"{referral}\x00{role}\x00{round_}"
    return uuid5(_PAYOUT_NAMESPACE, name)


def provider_key(payout: UUID, generation: int) -> str:
    """The idempotency key that a rail sees; only a recorded definitive refusal begets a new generation."""
    return f"{payout}-{generation}"


def matches(request: PaymentRequest, found: Paid) -> bool:
    """Whether a payment that the rail shows is the one that was asked for, to the unit and to the same payee."""
    asked = (request.amount_minor, request.currency, request.destination)
    return (found.amount_minor, found.currency, found.destination) == asked


def safe_to_send_again(key_window: timedelta | None, key_used_at: datetime | None, now: datetime) -> bool:
    """Whether the rail still knows the key, so that the same request under it can't pay a second time.

    ``key_window`` is for how long it knows one (`RailFacts`), ``key_used_at`` when it may first have seen this one;
    None: it can't have.
    """
    return key_window is None or key_used_at is None or now - key_used_at < key_window
