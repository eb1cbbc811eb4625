"""Measurement events (SPEC §8): typed, versioned, and derived from rows of the register that never change.

Whoever asks again gets the same ones.

A cause is one row. The id of an event is the UUIDv5 of its subject and step. Events hold ids and amounts in minor
units, and nothing personal.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.referrals.lifecycle import ReferralStatus

#: The form of a cursor; an empty one is the beginning.
CURSOR: Final = r"^(([0-9]{1,18})\.([0-5])\.([0-9a-f-]{0,36}))?$"
_NAMESPACE: Final = UUID("0b6f2a52-5b0e-5d0e-8a55-7f1b1c7f3f10")
#: The version of the form of all events; a member may be added without another one.
VERSION: Final = 1


class EventType(StrEnum):
    """What happened, as the CloudEvents type ``referral_rewards.<type>.v1`` says it."""

    CLAIM_CREATED = "claim.created"
    CLAIM_FLAGGED = "claim.flagged"
    CLAIM_DISPUTED = "claim.disputed"
    CLAIM_DUPLICATE = "claim.duplicate"
    CLAIM_DECIDED = "claim.decided"
    CLAIM_APPROVED = "claim.approved"
    REFERRAL_DENIED = "referral.denied"
    REFERRAL_EXPIRED = "referral.expired"
    PAYOUT_PLANNED = "payout.planned"
    PAYOUT_SENT = "payout.sent"
    PAYOUT_SETTLED = "payout.settled"
    PAYOUT_RETURNED = "payout.returned"
    REWARD_TAKEN_BACK = "reward.taken_back"
    SATISFACTION_RATED = "satisfaction.rated"


class CauseKind(StrEnum):
    """The table of a cause, in the order in which causes of one transaction are told."""

    FACT = "0"
    DECISION = "1"
    CLAIM = "2"
    STEP = "3"
    PAYOUT = "4"
    BOOKS = "5"


class Place(NamedTuple):
    """Where a cause stands among all: its transaction's position, its kind, and its own key."""

    position: int
    kind: CauseKind
    key: str

    @property
    def cursor(self) -> str:
        return f"{self.position}.{self.kind}.{self.key}"

    @classmethod
    def at(cls, cursor: str) -> "Place":
        """Return the place that a cursor names; the beginning for an empty one.

        Raises:
            ValueError: if it is none of ours.
        """
        found = re.fullmatch(CURSOR, cursor)
        if found is None:
            raise ValueError(f"{cursor!r} is no cursor of the feed")
        return cls(int(found[2]), CauseKind(found[3]), found[4]) if cursor else cls(0, CauseKind.FACT, "")


@dataclass(frozen=True, slots=True)
class Cause:
    """A row that brings about events. ``about`` says the rest of it, by its kind; ``referral`` is None for what belongs
    to several, and ``program`` for one that waits for terms. All of it stands in rows that never change."""

    place: Place
    at: datetime
    subject: str
    program: str | None
    referral: str | None
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MeasurementEvent:
    """One step of a claim, a payout or a person's answer."""

    id: UUID
    type: EventType
    at: datetime
    subject: str
    data: Mapping[str, Any]

    def as_cloudevent(self, source: str) -> dict[str, Any]:
        """Return the event in the JSON form of CloudEvents 1.0."""
        return {
            "specversion": "1.0",
            "id": str(self.id),
            "source": source,
            "type": f"referral_rewards.{self.type}.v{VERSION}",
            "time": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "subject": self.subject,
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }


def events_of(cause: Cause) -> tuple[MeasurementEvent, ...]:
    """Return what a row tells, in order; nothing for most of them."""
    return tuple(
        MeasurementEvent(
            uuid5(_NAMESPACE, f"{cause.subject}:{step}"), type_, cause.at, cause.subject, {**_of(cause), **data}
        )
        for type_, step, data in _BY_KIND[cause.place.kind](cause)
    )


_Told = tuple[EventType, str, Mapping[str, Any]]


def _of(cause: Cause) -> dict[str, Any]:
    return {"program": cause.program, "referral": cause.referral}


def _fact(cause: Cause) -> Iterator[_Told]:
    said = {"score": cause.about["score"], "by": cause.about.get("by")}
    yield EventType.SATISFACTION_RATED, f"rated:{cause.place.key}", said


def _decision(cause: Cause) -> Iterator[_Told]:
    said = {name: cause.about[name] for name in ("decision", "kind", "reason", "by", "digest")}
    yield EventType.CLAIM_DECIDED, f"decided:{cause.about['decision']}", said


def _claim(cause: Cause) -> Iterator[_Told]:
    """``known`` are the flags of its earlier assemblies; ``first`` is whether there is none."""
    flags = [flag for flag in Flag if flag in cause.about["flags"]]
    new = [flag for flag in flags if flag not in cause.about["known"]]
    said = {name: cause.about[name] for name in ("claim", "digest", "referrer", "version", "recommendation", "rewards")}
    if cause.about["first"]:
        yield EventType.CLAIM_CREATED, "created", {**said, "flags": flags}
    if new:
        yield EventType.CLAIM_FLAGGED, f"flagged:{cause.place.key}", {**said, "flags": new}
    if Flag.DISPUTED_ATTRIBUTION in new:
        yield EventType.CLAIM_DISPUTED, "disputed", said
    if Flag.DUPLICATE_CLAIM in new:
        yield EventType.CLAIM_DUPLICATE, "duplicate", said


def _step(cause: Cause) -> Iterator[_Told]:
    types = {
        ReferralStatus.APPROVED: EventType.CLAIM_APPROVED,
        ReferralStatus.DENIED: EventType.REFERRAL_DENIED,
        ReferralStatus.EXPIRED: EventType.REFERRAL_EXPIRED,
    }
    type_ = types.get(ReferralStatus(cause.about["status"]))
    if type_ is not None:
        yield type_, f"step:{cause.place.key}", {"reason": cause.about["reason"]}


def _payout(cause: Cause) -> Iterator[_Told]:
    said = {name: cause.about[name] for name in ("payout", "cycle", "returns", "rail", "currency", "generation")}
    if cause.about["act"] == "planned":
        yield EventType.PAYOUT_PLANNED, f"step:{cause.place.key}", said
    elif cause.about["state"] == PayoutState.SENDING:
        yield EventType.PAYOUT_SENT, f"step:{cause.place.key}", said


def _books(cause: Cause) -> Iterator[_Told]:
    """An entry of the books. ``booked`` is what it posts to each kind of account: what a payment recovers of what its
    payee owes was taken back by it, and goes back when the payment is returned."""
    what, booked = cause.about["what"], cause.about["booked"]
    said = {"currency": cause.about["currency"]}
    if what == "recovered":
        amount = {"amount_minor": booked[AccountKind.CLEARING]}
        yield (
            EventType.REWARD_TAKEN_BACK,
            "recovered",
            {**said, "way": "reverse", "clawback": cause.about["of"], **amount},
        )
        return
    sign = 1 if what == "settled" else -1
    sent = {"amount_minor": -sign * booked.get(AccountKind.CLEARING, 0), "booked": booked}
    type_ = EventType.PAYOUT_SETTLED if what == "settled" else EventType.PAYOUT_RETURNED
    yield type_, what, {"payout": cause.about["of"], **said, **sent}
    if offset := booked.get(AccountKind.RECOVERABLE, 0):
        yield EventType.REWARD_TAKEN_BACK, "offset", {**said, "way": "offset", "amount_minor": -offset}


_BY_KIND: Final = {
    CauseKind.FACT: _fact,
    CauseKind.DECISION: _decision,
    CauseKind.CLAIM: _claim,
    CauseKind.STEP: _step,
    CauseKind.PAYOUT: _payout,
    CauseKind.BOOKS: _books,
}
