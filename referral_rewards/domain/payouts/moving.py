"""What everything that moves money has in common: payments, and the reversals that take them back (SPEC §7).

Each is an *intent*: it is written down before any call, with a frozen request and a key of its own. An attempt is
recorded before the rail is called, and one that may have been sent is looked up before it is sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from referral_rewards.domain.payouts.advice import NOT_CONNECTED, PROBE, until_the_probe
from referral_rewards.domain.payouts.rail_catalogue import title
from referral_rewards.domain.payouts.states import Accepted, Paid, PaymentRequest, body_hash, provider_key
from referral_rewards.domain.payouts.taking_back import AccountedFor


class Intent(Protocol):
    """The row of a payment or of a reversal. Nothing in it is believed before it is verified."""

    @property
    def id(self) -> UUID: ...
    @property
    def body(self) -> Mapping[str, object]: ...
    @property
    def body_hash(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def provider_key(self) -> str: ...
    @property
    def first_sent_at(self) -> datetime | None: ...
    @property
    def key_used_at(self) -> datetime | None: ...
    @property
    def missed_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Reversal:
    """The request to take back ``amount_minor`` of a payment, as the rail showed it when it ``paid``.

    ``others`` are the other reversals of that payment.
    """

    request: PaymentRequest
    paid: Paid
    amount_minor: int
    others: tuple[AccountedFor, ...] = ()


_Order = TypeVar("_Order", PaymentRequest, Reversal)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A key under which an intent was refused before, and the rail's reference for that attempt, if any."""

    key: str
    reference: str | None


@dataclass(frozen=True, slots=True)
class ToSend(Generic[_Order]):
    """An attempt on record that may be sent under its ``key``.

    The rail may have seen the key since ``key_used_at``; None: it has not. If an attempt may have been sent
    (``looks_first``, or a used key), its outcome is looked up first, also under the keys of ``earlier`` generations.
    The same request may be sent again only with ``may_resend``, and never if the rail accepted it (``accepted_as``:
    the rail's reference). ``step`` is the number of this attempt in the history. ``probes``: it is the probe of a
    halted rail. ``found`` is the rail's answer if its list showed the payment already, which the register had
    forgotten: then nothing is sent.
    """

    request: _Order
    rail: str
    key: str
    key_used_at: datetime | None
    may_resend: bool
    accepted_as: str | None = None
    looks_first: bool = False
    earlier: Sequence[Earlier] = ()
    generation: int = 1
    probes: bool = False
    step: int = 0
    found: Paid | Accepted | None = None


@dataclass(frozen=True, slots=True)
class NotNow:
    """An intent that is not to be sent now, and when to try again; None: not before it is woken."""

    state: StrEnum
    why: str
    again_after: timedelta | None = None


class Halt(NamedTuple):
    """A halt of a rail that refused our credentials: since when, when it was last probed, and why. ``restored``: it was
    halted after a restore of the register, and only a person opens it again."""

    rail: str
    halted_at: datetime
    probed_at: datetime
    why: str
    restored: bool = False


class Wait(NamedTuple):
    """Why something is not done now, and when to try again; None: not before it is woken."""

    why: str
    again_after: timedelta | None = None


def not_as_frozen(intent: Intent) -> str | None:
    """Return in one sentence why the stored request can't be trusted; None if it is the one that was frozen."""
    if body_hash(intent.body) != intent.body_hash:
        return "the stored request is not the one that was frozen"
    return None


def not_its_key(intent: Intent) -> str | None:
    """Return in one sentence why the stored key can't be trusted; None if it is the intent's own."""
    if intent.provider_key != provider_key(intent.id, intent.generation):
        return "the stored key is not its own"
    return None


def waits_for_its_rail(halt: Halt | None, now: datetime) -> Wait | None:
    """Return how long a halted rail is left alone; None if it may be called. Its first caller after that probes it."""
    if halt is not None and halt.restored:
        return Wait(halt.why, PROBE)
    if halt is None or (left := until_the_probe(halt.probed_at, now)) is None:
        return None
    return Wait(refused_us(halt.rail, halt.why), left)


def not_connected(rail: str) -> Wait:
    """Return the wait for a rail that this installation has not connected."""
    return Wait(f"{title(rail)} is not connected", NOT_CONNECTED)


def refused_us(rail: str, why: str) -> str:
    """Return the sentence about a rail that rejects our credentials."""
    return f"{title(rail)} refused our credentials: {why}"
