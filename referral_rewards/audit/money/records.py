"""The rows that stand behind a payment, as they are on record. Nothing in them is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from referral_rewards.audit.evidence import SKEW, seen
from referral_rewards.audit.signed import DecisionRow

Document = Mapping[str, object]
#: The acts from which on a provider may have seen a request.
SENT: Final = frozenset({"sent", "adopted"})


@dataclass(frozen=True, slots=True)
class Leg:
    """One reward to one beneficiary. ``live``: the payout still pays it."""

    id: UUID
    referral_id: str
    claim_id: UUID
    digest: str
    program: str
    referrer: str
    order_key: str
    stores: tuple[str, ...]
    role: str
    beneficiary: str
    kind: str
    amount_minor: int
    currency: str
    rail: str
    destination: str | None
    state: str
    approved_at: datetime
    decisions: tuple[str, ...]
    bound_to: str | None
    former: bool
    live: bool


@dataclass(frozen=True, slots=True)
class Payout:
    """One payment to a payee, with the request that was frozen before it was sent."""

    id: UUID
    referral_id: str | None
    cycle_id: UUID | None
    payee: str
    rail: str
    amount_minor: int
    currency: str
    body: Document
    body_hash: str
    generation: int
    provider_key: str
    first_sent_at: datetime | None
    key_used_at: datetime | None
    provider_reference: str | None
    settled_at: datetime | None
    state: str
    returns: UUID | None
    dropped: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a payout's history. The database itself writes those that move it. ``position`` is the number of the
    transaction that recorded it, as everywhere."""

    id: int
    generation: int
    at: datetime
    position: int
    act: str
    state: str
    reference: str | None
    sight: tuple[int, ...]

    def saw(self, position: int) -> bool:
        """Return whether its transaction saw what that of this number recorded (see `evidence.seen`)."""
        return seen(position, self.position, self.sight)


@dataclass(frozen=True, slots=True)
class Deduction:
    """What a payout is lowered by: an offset (``source`` is a clawback) or tax withheld (``source`` is a regime)."""

    kind: str
    source: str
    amount_minor: int
    live: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A reward claim as it was assembled and shown."""

    id: UUID
    referral_id: str
    round: int
    digest: str
    core_digest: str
    body: Document
    facts_version: int
    referrer: str | None
    approved_rewards: int
    assembled_at: datetime
    position: int
    sight: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Made(DecisionRow):
    """A decision on record, what became of it, and by which transaction its user was barred (None: still may)."""

    effects: tuple[str, ...]
    barred_position: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A published version of a program's terms. ``noted``: the audit log has who published it, and when. One read
    equals only itself, so that what is worked out of it can be kept."""

    program: str
    version: int
    effective_from: datetime
    terms: Document
    source: str
    published_at: datetime
    published_by: str
    noted: bool


@dataclass(frozen=True, slots=True)
class Cited:
    """A fact that a claim cites, as it is on record. ``version`` is the facts version to which it raised the claim's
    referral; None if it is not linked to it."""

    claim_id: UUID
    id: UUID
    source: str
    event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    order: str | None
    store: str | None
    referral: str | None
    digest: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Referral:
    """What the referral's row says of itself, and how often people decided to reopen it."""

    id: str
    program: str | None
    version: int | None
    round: int
    claim_id: UUID | None
    referrer: str | None
    moved_to: str | None
    status: str | None
    order_id: str | None
    stores: tuple[str, ...]
    currency: str | None
    facts_version: int
    judged_at: datetime | None
    reopened: int
    settled_rivals: Mapping[str, str | None] | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a source answered when it was asked about a referral."""

    referral_id: str
    moment: str
    source: str
    subject: str
    asked_at: datetime
    position: int
    answer: str
    content_hash: str | None


@dataclass(frozen=True, slots=True)
class Clawback:
    """One recovery that a person decided on. ``kept_minor`` is what settled payouts kept for it; ``released_minor``,
    of an offset, is what people took in another way instead."""

    id: UUID
    case_id: UUID
    leg_id: UUID
    payout_id: UUID
    referral_id: str
    payee: str
    kind: str
    amount_minor: int
    currency: str
    recovered_minor: int
    released_minor: int
    body: Document
    body_hash: str
    generation: int
    provider_key: str
    first_sent_at: datetime | None
    provider_reference: str | None
    state: str
    decision_id: UUID
    created_at: datetime
    updated_at: datetime
    kept_minor: int


@dataclass(frozen=True, slots=True)
class Case:
    """A question whether a paid reward is to be taken back."""

    id: UUID
    leg_id: UUID
    fact_id: UUID
    referral_id: str
    opened_at: datetime
    state: str
    settled_at: datetime | None
    proposed_minor: int | None


@dataclass(frozen=True, slots=True)
class Return:
    """A payment that sends back what a case took."""

    id: UUID
    case_id: UUID
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """The payout cycle that a payment stood on the list of."""

    id: UUID
    program: str
    due_on: date
    digest: str | None


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction to people to pay by hand."""

    key: str
    payout_id: UUID
    payee: str
    amount_minor: int
    currency: str
    destination: str | None
    program: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One posting in minor units: debits are positive, credits negative."""

    account: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction of the books."""

    id: UUID
    key: str
    position: int
    description: str
    posted_at: datetime
    program: str
    referral_id: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that something on record says was made, with all that stands behind it.

    ``claims``, ``terms`` and ``referrals`` are by id; ``cited`` and ``made`` by claim or other subject, ``heard`` and
    ``adjusted`` (the adjustments of its claims) by referral, ``entries`` by key.
    """

    payout: Payout
    legs: tuple[Leg, ...]
    steps: tuple[Step, ...]
    deductions: tuple[Deduction, ...]
    claims: Mapping[UUID, Claim]
    terms: Mapping[tuple[str, int], Terms]
    referrals: Mapping[str, Referral]
    cited: Mapping[UUID, tuple[Cited, ...]]
    heard: Mapping[str, tuple[Heard, ...]]
    made: Mapping[UUID, tuple[Made, ...]]
    adjusted: Mapping[str, tuple[Made, ...]]
    clawbacks: tuple[Clawback, ...]
    cases: tuple[Case, ...]
    returns: tuple[Return, ...]
    cycle: Cycle | None
    instructions: tuple[Instruction, ...]
    entries: Mapping[str, Entry]

    def moved_minor(self, clawback: Clawback) -> int:
        """Return how much a clawback took over from offsets of its case, as the books say."""
        moved = self.entries.get(f"claim_moved:{clawback.id}")
        return 0 if moved is None else sum(max(line.amount_minor, 0) for line in moved.lines)

    @property
    def paid(self) -> tuple[Leg, ...]:
        """The legs that it pays."""
        return tuple(leg for leg in self.legs if leg.live)

    @property
    def booked(self) -> tuple[Leg, ...]:
        """The legs whose entries are looked at with it: those that it pays, and those that were given up of it. What
        another payment pays by now is looked at with that."""
        return tuple(leg for leg in self.legs if leg.live or leg.state == "cancelled")

    @property
    def program(self) -> str:
        """The program that its request names."""
        return str(self.payout.body.get("program"))

    @property
    def sent(self) -> Step | None:
        """The step that first sent it under its last key; None if its history has none. A provider that shut us out
        saw nothing of what was sent before."""
        found: Step | None = None
        for each in (step for step in self.steps if step.generation == self.payout.generation):
            if each.act == "shut_out":
                found = None
            elif found is None and each.act in SENT:
                found = each
        return found

    def knew(self, made: Made) -> bool:
        """Return whether a decision was on record when it was sent: what is signed later is no ground for it."""
        sent = self.sent
        return sent is None or (made.decided_at <= sent.at + SKEW and sent.saw(made.position))

    @property
    def is_given_up(self) -> bool:
        """Whether people took everything from it that it was to pay, though it had been sent."""
        if self.payout.first_sent_at is None:
            return False
        return self.payout.dropped if self.payout.returns is not None else not self.paid

    def was_given_up_by(self, step: Step) -> bool:
        """Whether people had cancelled it before this step of its history: then nothing was owed any more."""
        return self.is_given_up and any(each.state == "cancelled" and each.id < step.id for each in self.steps)
