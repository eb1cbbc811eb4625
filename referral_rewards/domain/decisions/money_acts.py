"""Decisions about money after a claim was approved: on a payout, a clawback case or a payout cycle.

Each is stored in the same signed register as the decisions on claims (SPEC §6). It contains a digest of what was shown
of its subject, a reason, and an amount or a reference if it needs one. A row alone, without a decision, moves no money.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain import money
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.act_kinds import (
    NEEDS_AMOUNT,
    NEEDS_REFERENCE,
    REASONS,
    REFERENCE_LENGTH_MAX,
    SUBJECT_OF,
    MoneyAct,
    SubjectKind,
)
from referral_rewards.domain.errors import ActRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels import label, labels, listed
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role

__all__ = [
    "NEEDS_AMOUNT",
    "NEEDS_REFERENCE",
    "REASONS",
    "REFERENCE_LENGTH_MAX",
    "ROLES",
    "SUBJECT_OF",
    "ActSubject",
    "MoneyAct",
    "SubjectKind",
    "check_details",
    "may_act",
    "payout_takes",
    "subject_digest",
]

_A = MoneyAct

#: Each act is open to holders of any of its roles. An administrator has no authority over money. Stopping needs less
#: authority than paying.
ROLES: Final[Mapping[MoneyAct, frozenset[Role]]] = {
    **dict.fromkeys(MoneyAct, frozenset({Role.FINANCE})),
    _A.STOP_CYCLE: frozenset({Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER}),
}

_P = PayoutState


def payout_takes(state: PayoutState, *, sent: bool, given_up: bool, rail: str) -> frozenset[MoneyAct]:
    """Return the decisions that a payout in this state allows. ``sent``: the rail may have seen its present key.
    ``given_up``: it no longer pays a reward, though it was sent.

    A new key needs a recorded refusal first: a payout that was sent and not found is never simply retried.
    """
    if state in (_P.REFUSED, _P.RETURNED, _P.WAITING_FUNDS):
        return frozenset({_A.CANCEL_PAYOUT} if given_up else {_A.RETRY_PAYOUT, _A.CANCEL_PAYOUT})
    if state is _P.MANUAL_REVIEW:
        return frozenset(
            {_A.SETTLE_PAYOUT, _A.REFUSE_PAYOUT} if sent or given_up else {_A.RETRY_PAYOUT, _A.CANCEL_PAYOUT}
        )
    if state is _P.ACCEPTED and rail in BY_HAND:
        return frozenset({_A.CONFIRM_PAYOUT, _A.REFUSE_PAYOUT})
    return frozenset()


@dataclass(frozen=True, slots=True)
class ActSubject:
    """The present subject of a decision about money.

    ``parties`` are the marks of everybody it benefits; ``barred`` who may not take an act, with the rule and the
    reason, by user name; ``room_minor`` how much an act may be over at most, where it is over an amount, and ``rooms``
    where that is less for one; ``steps`` the minor units of which it must be a multiple, where its rail takes no finer;
    ``currency`` is that of these amounts.
    """

    kind: SubjectKind
    id: UUID
    referral: str | None
    program: str
    digest: str
    takes: frozenset[MoneyAct]
    parties: frozenset[str] = frozenset()
    barred: Mapping[MoneyAct, Mapping[str, str]] = field(default_factory=dict)
    room_minor: int | None = None
    rooms: Mapping[MoneyAct, int] = field(default_factory=dict)
    steps: Mapping[MoneyAct, int] = field(default_factory=dict)
    currency: str | None = None

    @property
    def name(self) -> str:
        """What it is called in a refusal."""
        return f"{label('subject', self.kind)} {self.id}"


def subject_digest(shown: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the canonical form of what was shown of a subject."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def check_details(act: MoneyAct, reason: str, amount_minor: int | None, reference: str | None) -> dict[str, Any] | None:
    """Return the details that are signed with the kind and the reason, or None.

    Raises:
        RequestInvalid: naming what is missing, or does not belong to this act.
    """
    if reason not in REASONS[act]:
        raise RequestInvalid(f"{reason!r} is no reason to {act}: {', '.join(REASONS[act])}", "reason")
    details: dict[str, Any] = {}
    if (amount_minor is not None) is not (act in NEEDS_AMOUNT):
        raise RequestInvalid(
            "Enter an amount." if act in NEEDS_AMOUNT else "This decision takes no amount.", "amount_minor"
        )
    if amount_minor is not None:
        if amount_minor <= 0:
            raise RequestInvalid("must be above zero", "amount_minor")
        details["amount_minor"] = amount_minor
    if (reference is not None) is not (act in NEEDS_REFERENCE):
        needed = "Enter the bank's or provider's reference."
        raise RequestInvalid(needed if act in NEEDS_REFERENCE else "This decision takes no reference.", "reference")
    if reference is not None:
        if not reference.strip() or len(reference) > REFERENCE_LENGTH_MAX or not reference.isprintable():
            raise RequestInvalid(f"A reference has 1 to {REFERENCE_LENGTH_MAX} printable characters.", "reference")
        details["reference"] = reference.strip()
    return details or None


def may_act(
    approver: Approver, act: MoneyAct, subject: ActSubject, amount_minor: int | None, same_person: Collection[str]
) -> None:
    """Return if the person may record this act now. ``same_person`` are all accounts of that person.

    Raises:
        NotAllowed: if the person holds none of the roles.
        ActRefused: naming the rule.
    """
    if not approver.roles & ROLES[act]:
        roles = listed(labels("role", sorted(ROLES[act])), "or")
        raise NotAllowed(f"To {label('decision', act)} you need the role {roles}.")
    if act not in subject.takes:
        takes = listed(labels("decision", sorted(subject.takes)), "or") if subject.takes else "do nothing with it"
        raise ActRefused(subject.name, "not_now", f"in this state you can't {label('decision', act)}; you can {takes}")
    if identity.of_kinds(approver.marks & subject.parties, identity.SELF_REFERRAL_KINDS):
        raise ActRefused(subject.name, "own_claim", "you benefit from it and can't decide on it")
    barred = subject.barred.get(act, {})
    for name in sorted({approver.user, *same_person} & barred.keys()):
        raise ActRefused(subject.name, "different_people", f"another person must do this: {name} {barred[name]}")
    room_minor = subject.rooms.get(act, subject.room_minor)
    if amount_minor is not None and room_minor is not None and amount_minor > room_minor:
        raise ActRefused(subject.name, "too_much", f"only {money.display(room_minor, subject.currency)} remain")
    step_minor = subject.steps.get(act, 1)
    if amount_minor is not None and (over := amount_minor % step_minor):
        least = f"the rail only moves multiples of {money.display(step_minor, subject.currency)}"
        raise ActRefused(
            subject.name,
            "too_fine",
            f"{least}; the nearest lower amount is {money.display(amount_minor - over, subject.currency)}",
        )
