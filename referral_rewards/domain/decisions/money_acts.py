"""Decisions about money after a claim was approved: on a payout, a clawback case or a payout cycle.

Each is stored in the same signed register as the decisions on claims (SPEC §6). It contains a digest of what was shown
of its subject, a reason, and an amount or a reference if it needs one. A row alone, without a decision, moves no money.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain import money
from referral_rewards.domain.claims.approval import Approver, check_note
from referral_rewards.domain.decisions import tellers
from referral_rewards.domain.decisions.act_kinds import (
    NEEDS_AMOUNT,
    NEEDS_REFERENCE,
    REASONS,
    REFERENCE_LENGTH_MAX,
    SUBJECT_OF,
    MoneyAct,
    SubjectKind,
)
from referral_rewards.domain.decisions.decision import Asked, Decision, Kind, Made
from referral_rewards.domain.decisions.subject import Details, check_whole
from referral_rewards.domain.errors import ActRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
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
    "check_asked",
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
    **dict.fromkeys((_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM, _A.END_PROGRAM), frozenset({Role.PROGRAM_OWNER})),
    # It takes one signature of each of the two roles, by two people.
    _A.ADD_BUDGET: frozenset({Role.FINANCE, Role.PROGRAM_OWNER}),
    _A.START_PILOT: frozenset({Role.PROGRAM_OWNER}),
    _A.END_PILOT: frozenset({Role.FINANCE, Role.PROGRAM_OWNER}),
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
    """The present subject of a decision about money, with everything that the rules read.

    ``parties`` are the marks of everybody it benefits; ``barred`` who may not take an act, with the rule and the
    reason, by user name; ``room_minor`` how much an act may be over at most, where it is over an amount, and ``rooms``
    where that is less for one; ``steps`` the minor units of which it must be a multiple, where its rail takes no finer;
    ``currency`` is that of its amounts. ``history`` are the decisions on it, oldest first, and ``invalid`` the ids of
    those that can't take effect. ``marks`` are those of the users who are barred from an act, by name. ``obstacles``
    say for an act what must be done first. ``listed`` is what a subject without referral and program is listed under.
    ``told_by`` are the users who told any of the facts that it rests on, each with their marks.
    ``needs_two``: what one person records of it counts only once another records the same (`bank_confirmations`).
    """

    kind: SubjectKind
    id: UUID
    referral: str | None
    program: str
    currency: str
    digest: str
    takes: frozenset[MoneyAct]
    parties: frozenset[str] = frozenset()
    barred: Mapping[MoneyAct, Mapping[str, str]] = field(default_factory=dict)
    room_minor: int | None = None
    rooms: Mapping[MoneyAct, int] = field(default_factory=dict)
    steps: Mapping[MoneyAct, int] = field(default_factory=dict)
    history: tuple[Made, ...] = ()
    invalid: frozenset[UUID] = frozenset()
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    needs_two: bool = False
    obstacles: Mapping[MoneyAct, str] = field(default_factory=dict)
    listed: str | None = None
    told_by: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def chain_id(self) -> UUID:
        return self.id

    @property
    def listed_under(self) -> str:
        return self.listed or self.referral or f"program {self.program}"

    @property
    def name(self) -> str:
        """What it is called in a refusal."""
        return self.listed or f"{label('subject', self.kind)} {self.id}"

    def most(self, act: MoneyAct) -> int | None:
        """Return the largest amount that an act may be over, in minor units; None if it takes no amount, or any."""
        return self.rooms.get(act, self.room_minor) if act in NEEDS_AMOUNT else None

    def recorded_before(self, asked: Asked, approver: Approver, details: Details | None) -> Decision | None:
        """Return the same decision by this person on the same digest.

        If it was carried out and the subject is unchanged, the request is a new decision. So it is where two people
        must say the same: whoever repeats their own word is told that another person has to confirm it.
        """
        if self.needs_two and approver.user in self.barred.get(_of_money(asked.kind), {}):
            return None
        wanted = (approver.user, asked.kind, asked.digest, asked.reason, details)
        for each in self.history:
            made = each.decision
            stands = not each.effects or self.digest != asked.digest
            if stands and (made.user, made.kind, made.digest, made.reason, made.details) == wanted:
                return made
        return None

    def to_sign(self, details: Details | None) -> Details | None:
        """Return the details as they are: they say all that an act on money is about."""
        return details

    def check_as_shown(self, asked: Asked) -> None:
        """Return if the subject still has the digest that was shown, and has no decision since; else raise.

        Raises:
            RequestInvalid: if the digest is a shortened form of the right one.
            ActRefused: `decided_meanwhile`, with who decided what and when, if another person decided on the shown
                subject first; `stale` if it changed otherwise.
        """
        made = [each for each in self.history if each.decision.digest == asked.digest]
        if self.digest != asked.digest:
            check_whole(asked.digest, self.digest)
            self._check_not_decided(made)
            raise ActRefused(self.name, "stale", "it changed since you looked at it; look again")
        self._check_not_decided([each for each in made if self._may_take_effect(each)])

    def check_admits(self, asked: Asked, approver: Approver) -> None:
        """Return if the act's own rules admit it (`may_act`); else raise."""
        may_act(approver, _of_money(asked.kind), self, asked.amount_minor, self._accounts_of(approver))

    def _may_take_effect(self, made: Made) -> bool:
        return not (made.effects or made.barred or made.decision.id in self.invalid)

    def _check_not_decided(self, made: Sequence[Made]) -> None:
        """Raise if there is an earlier decision: of people who decide at the same time, only the first is recorded."""
        if made:
            first = made[0].decision
            at = f"{first.decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            why = f"{label('decided', first.kind)} by {first.user}, {at}; look again in a moment"
            raise ActRefused(self.name, "decided_meanwhile", why)

    def _accounts_of(self, approver: Approver) -> list[str]:
        """Return the users with a mark of this person, of those who are barred from an act."""
        marks = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
        return sorted(name for name, theirs in self.marks.items() if theirs & marks)


def subject_digest(shown: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the canonical form of what was shown of a subject."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def check_asked(asked: Asked) -> Details | None:
    """Return the details that are signed with a decision on money, or None, once reason and note are in order.

    Raises:
        RequestInvalid: naming what is missing, or does not belong to this act.
    """
    details = check_details(_of_money(asked.kind), asked.reason, asked.amount_minor, asked.reference)
    check_note(asked.note)
    return details


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
    if act in subject.obstacles:
        raise ActRefused(subject.name, "something_remains", subject.obstacles[act])
    if identity.of_kinds(approver.marks & subject.parties, identity.SELF_REFERRAL_KINDS):
        raise ActRefused(subject.name, "own_claim", "you benefit from it and can't decide on it")
    if (why := tellers.objection(approver, act, subject.told_by)) is not None:
        raise ActRefused(subject.name, tellers.RULE, why)
    barred = subject.barred.get(act, {})
    for name in sorted({approver.user, *same_person} & barred.keys()):
        raise ActRefused(subject.name, "different_people", f"another person must do this: {name} {barred[name]}")
    most_minor = subject.most(act)
    if amount_minor is not None and most_minor is not None and amount_minor > most_minor:
        raise ActRefused(subject.name, "too_much", f"only {money.display(most_minor, subject.currency)} remain")
    step_minor = subject.steps.get(act, 1)
    if amount_minor is not None and (over := amount_minor % step_minor):
        least = f"the rail only moves multiples of {money.display(step_minor, subject.currency)}"
        raise ActRefused(
            subject.name,
            "too_fine",
            f"{least}; the nearest lower amount is {money.display(amount_minor - over, subject.currency)}",
        )


def _of_money(kind: Kind) -> MoneyAct:
    assert isinstance(kind, MoneyAct), f"{kind} is no decision on money"
    return kind
