"""A decision: what a person asks to record, what they sign, and what is known of it once it is on record."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind, Signoff
from referral_rewards.domain.decisions.act_kinds import SUBJECT_OF, MoneyAct, SubjectKind
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.pilots.outcome import Measured
from referral_rewards.domain.pilots.plan import Plan

Kind = DecisionKind | MoneyAct


#: Beside a decision on a closed referral this is signed: the facts version that whoever decided saw.
KNOWN: Final = "facts_known"
#: Approvals and adjustments can become void; what holds money back can't, because voiding is not signed.
VOIDABLE: Final = frozenset({DecisionKind.APPROVE, DecisionKind.ADJUST})


def subject_kind(kind: Kind) -> SubjectKind:
    """Return what a decision of this kind is about."""
    return SUBJECT_OF[kind] if isinstance(kind, MoneyAct) else SubjectKind.CLAIM


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be recorded, after every rule has admitted it.

    The chain gives it a number and an id. Its note is personal data, kept apart from what is signed.

    ``referral`` is the referral under which it is listed, or ``program`` and its name for a cycle; ``claim_id`` is the
    id of its subject: a claim or, for a `MoneyAct`, what it acts on.
    """

    referral: str
    claim_id: UUID
    digest: str
    kind: Kind
    user: str
    roles: frozenset[Role]
    reason: str
    note: str
    decided_at: datetime
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A recorded decision. Its fields are those of `NewDecision`, with its number in the chain and its id."""

    seq: int
    id: UUID
    referral: str
    claim_id: UUID
    digest: str
    kind: Kind
    user: str
    roles: frozenset[Role]
    reason: str
    decided_at: datetime
    details: Mapping[str, Any] | None = None

    @property
    def signoff(self) -> Signoff:
        return Signoff(user=self.user, roles=self.roles, kind=self.kind, digest=self.digest)


@dataclass(frozen=True, slots=True)
class Made:
    """A verified decision on record, and what is known of it now.

    ``note`` is None once it was erased. ``effects`` are the names of what became of it. ``barred`` and ``marks`` are
    those of the user who made it.
    """

    decision: Decision
    note: str | None = None
    effects: frozenset[str] = frozenset()
    barred: bool = False
    marks: frozenset[str] = frozenset()

    @property
    def stands(self) -> bool:
        """Whether it still counts: an approval or an adjustment does not once it is void or its user was barred.

        A denial or a hold can't be voided, because voiding is not signed.
        """
        return self.decision.kind not in VOIDABLE or not (self.barred or "void" in self.effects)


def counting(
    made: Iterable[Decision], void: Collection[UUID], barred: Collection[str], told_by: Collection[str] = ()
) -> tuple[Decision, ...]:
    """Return the decisions without approvals and adjustments that are ``void`` or by users who are ``barred`` (see
    `Made.stands`), and without approvals by those who told a fact of the claim."""
    standing = (d for d in made if d.kind not in VOIDABLE or not (d.id in void or d.user in barred))
    return tuple(d for d in standing if not (d.kind is DecisionKind.APPROVE and d.user in told_by))


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision that a person asks to record, with the digest that was shown to them.

    ``subject`` is the id of a referral or, for a `MoneyAct`, of the payout, clawback case or cycle, the name of a
    program, or a payee of the ``program``. ``seen`` is the number of the last decision on the referral that was shown,
    0 for none. If another decision has been recorded since, this one is refused; None skips that check. ``together``:
    it is one of many claims decided at once, none of which may be flagged. ``amount_minor``, in minor units of the
    subject's currency, and ``reference`` are given where the act needs one; an amount for a program names its
    ``currency``. ``at`` is from when an act on a program holds; None: from its decision on. ``leg``, with an amount or
    ``leave_out``, is what an adjustment is about; ``referrer`` whom a reassignment names, ``order`` what is linked,
    with its ``store`` where one is known.
    A redirect has the payee as its subject, names the ``rail``, and may name the destination as its ``reference``.
    ``pilot`` is the plan with which a pilot starts, ``measured`` what was shown to whoever ends it.
    """

    subject: str
    kind: Kind
    reason: str
    note: str
    digest: str
    seen: int | None = None
    together: bool = False
    amount_minor: int | None = None
    reference: str | None = None
    rail: str | None = None
    currency: str | None = None
    at: datetime | None = None
    program: str | None = None
    leg: str | None = None
    leave_out: bool = False
    referrer: str | None = None
    order: str | None = None
    store: str | None = None
    pilot: Plan | None = None
    measured: Measured | None = None


def known_at(decision: Decision) -> int | None:
    """Return the facts version that whoever decided on a closing saw; None for any other decision."""
    known = (decision.details or {}).get(KNOWN)
    return known if isinstance(known, int) else None
