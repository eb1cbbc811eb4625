"""The evidence of a paid reward: what was told, published and decided by the instant when its payment was committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from referral_rewards.audit.reading.rewards import Held
from referral_rewards.audit.reading.told import Terms, Told

#: The clocks of two processes differ by no more.
SKEW: Final = timedelta(minutes=5)


def seen(position: int, by: int, sight: Sequence[int]) -> bool:
    """Return whether the transaction of a number was seen by another one (``by``) with this ``sight``: the number from
    which on it saw nothing, and those of the transactions under way (``models/migrations/initial/positions.sql``).

    Without a sight the numbers decide, though they are no order of commits.
    """
    if not sight:
        return position < by
    return position < sight[0] and position not in sight[1:]


@dataclass(frozen=True, slots=True)
class Span:
    """Which paid rewards of a program: of one payout cycle, and those settled from one day to before another, on the
    program's calendar; None sets no bound."""

    program: str
    since: date | None = None
    until: date | None = None
    cycle: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reward:
    """One paid leg, and its payment. ``committed_at`` is when the payment was first sent under its last key, None if
    its history shows no sending, ``position`` the number of the transaction that sent it, and ``sight`` what that saw
    (`seen`); ``reserved`` numbers the approvals of a program's legs in their order; ``settled_at`` is when its history
    shows it as settled."""

    leg: UUID
    referral: str
    role: str
    program: str
    referrer: str
    order: str
    beneficiary: str
    kind: str
    amount_minor: int
    currency: str
    claim_id: UUID
    digest: str
    decisions: tuple[str, ...]
    approved_at: datetime
    payout: UUID
    committed_at: datetime | None
    position: int | None
    sight: tuple[int, ...]
    reserved: int | None
    settled_at: datetime

    @property
    def at(self) -> datetime:
        """The instant as of which it is examined. Two processes date payment and approval: it is not before either."""
        return max(self.committed_at or self.settled_at, self.approved_at)

    def was_there(self, at: datetime, position: int | None) -> bool:
        """Return whether what is dated ``at``, and was recorded by the transaction of this number, was on record when
        the payment was committed.

        Its transaction saw it or did not. Their dates can't say it to the second: another process with another clock
        wrote each of them, and a payment is dated before its sources are asked.
        """
        if self.position is None or position is None:
            return at <= self.at
        return seen(position, self.position, self.sight) and at <= self.at + SKEW


@dataclass(frozen=True, slots=True)
class PromisedLeg:
    """A leg that was reserved for a claim."""

    role: str
    beneficiary: str
    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ClaimOnRecord:
    """The claim that was approved, as it stands on record."""

    id: UUID
    referral: str
    round: int
    digest: str
    program: str | None
    version: int | None
    flags: frozenset[str]
    approved_rewards: int
    first_assembled_at: datetime
    first_position: int
    first_sight: tuple[int, ...]
    first_approved_rewards: int


@dataclass(frozen=True, slots=True)
class Received:
    """A fact as it was received. ``problems`` say where what stands on record of it is not what was received.

    ``position`` is the number of the transaction that recorded it. Of a fact whose person was erased nothing but its
    marks can be read, and of them only what is left once their retention is over: a seal shows that they stand as they
    did (`erased`).
    """

    id: UUID
    told: Told
    received_at: datetime
    position: int
    digest: str
    teller: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A decision whose signature verifies. ``position`` is the number of the transaction that recorded it."""

    seq: int
    id: UUID
    listed: str
    subject: UUID
    digest: str
    kind: str
    user: str
    roles: frozenset[str]
    at: datetime
    position: int
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """A published version of a program's terms: as their text says them (``terms``), and as they are ``kept``."""

    program: str
    number: int
    effective_from: datetime
    published_at: datetime
    terms: Terms
    kept: Terms


@dataclass(frozen=True, slots=True)
class Asked:
    """What a source answered about an order or a customer."""

    source: str
    subject: str
    at: datetime
    position: int
    answer: str


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the status of a referral, from its history."""

    at: datetime
    position: int
    status: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """A live leg, the number of the transaction that approved it, and the place of that among the approvals of the
    program, which come one after the other. Both are None if its entry in the books is missing."""

    held: Held
    position: int | None
    reserved: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a paid reward is examined from.

    ``facts`` are those of its referral, its people and its order, and of the ``rivals`` that it meets; ``legs`` all
    legs of its claim. ``held`` are live legs of its rivals and of its referrer. ``steps`` are the histories of
    its rivals, by referral. ``versions`` are those of every program that one of these is of. ``counted`` is between
    which numbers the referrer's rewards lay when its claim was first assembled.
    """

    reward: Reward
    claim: ClaimOnRecord | None
    facts: Sequence[Received]
    decisions: Sequence[Made]
    forged: Sequence[UUID]
    program_acts: Sequence[Made]
    versions: Mapping[str, Sequence[Version]]
    asked: Sequence[Asked] = ()
    legs: Sequence[PromisedLeg] = ()
    held: Sequence[Reserved] = ()
    rivals: frozenset[str] = frozenset()
    steps: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    rival_decisions: Mapping[str, Sequence[Made]] = field(default_factory=dict)
    counted: tuple[int, int] = (0, 0)
