"""Approval: who may decide on a claim, when a decision is complete, and what several come to (SPEC §6)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from referral_rewards.domain.claims.decision_kinds import NOTE_LENGTH_MAX, REASON_CODES, DecisionKind
from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation
from referral_rewards.domain.claims.rewards import Leg
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.programs.terms import RewardKind, Role, Terms

__all__ = [
    "ADJUST",
    "MOVE",
    "NOTE_LENGTH_MAX",
    "REASON_CODES",
    "Approver",
    "DecisionKind",
    "Requirement",
    "Ruling",
    "Signoff",
    "check_note",
    "check_words",
    "is_override",
    "may_decide",
    "requirement",
    "ruling",
    "satisfied",
]

#: Decisions that may need several people.
_COUNTED: Final = frozenset({DecisionKind.APPROVE, DecisionKind.REASSIGN, DecisionKind.LINK})
#: Approving in spite of one of these flags is an override.
_OVERRIDING: Final = frozenset({Flag.FRAUD_SUSPECTED, Flag.SELF_REFERRAL, Flag.DUPLICATE_CLAIM})
#: Checks whose failure raises no flag, because §4 decides them: only a reopened claim can still show one.
_DECIDED_BY_PERIODS: Final = frozenset(
    {CheckCode.WITHIN_PERIODS, CheckCode.MINIMUM_MET, CheckCode.CONVERSION_NOT_REVERSED}
)


class Requirement(BaseModel):
    """What an approval needs: every one of the roles (sorted), from at least this many different people.

    ``excluded`` are the users (sorted) whose approval does not count: they adjusted the claim.
    """

    model_config = ConfigDict(frozen=True)

    routes: tuple[Role, ...]
    people: int
    excluded: tuple[str, ...] = ()


#: What moving a claim to another referrer needs, or linking an order to a referral.
MOVE: Final = Requirement(routes=(Role.OPERATIONS, Role.PROGRAM_OWNER), people=2)
#: Any of these roles may adjust a claim, because an adjustment pays nothing: others approve what comes of it.
ADJUST: Final = Requirement(routes=(Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER), people=1)


@dataclass(frozen=True, slots=True)
class Signoff:
    """A recorded decision, with the roles that its user held at the time."""

    user: str
    roles: frozenset[Role]
    kind: StrEnum  # if not a `DecisionKind`, it is about something other than a claim, and counts for no claim
    digest: str


@dataclass(frozen=True, slots=True)
class Approver:
    """A signed-in person: the roles held now, and the marks that show a shared identity."""

    user: str
    roles: frozenset[Role]
    marks: frozenset[str] = frozenset()


def is_override(
    recommendation: Recommendation, flags: Collection[Flag], failures: Collection[CheckCode], *, reopened: bool = False
) -> bool:
    """Whether approving goes against the recommendation of the rules.

    A flag that requires a review leaves the decision to a person, so that approving is no override.
    """
    advised_against = recommendation is Recommendation.DENY or not _OVERRIDING.isdisjoint(flags)
    return reopened or advised_against or not _DECIDED_BY_PERIODS.isdisjoint(failures)


def requirement(
    terms: Terms, legs: Collection[Leg], flags: Collection[Flag], *, override: bool, adjusted_by: Iterable[str] = ()
) -> Requirement:
    """Return the roles and the number of people that these legs, flags and amounts require; none who adjusted them."""
    routes: set[Role] = set()
    for kind in {leg.kind for leg in legs} or _promised_kinds(terms):
        routes.update(terms.approval.routes[kind])
    if Flag.PARTNER_EXCEPTION in flags:
        routes.add(Role.PROGRAM_OWNER)
    if Flag.DISPUTED_ATTRIBUTION in flags:
        routes.update((Role.OPERATIONS, Role.PROGRAM_OWNER))
    if override:
        routes.update((Role.FINANCE, Role.OPERATIONS))
    total_minor, from_amount = sum(leg.amount_minor for leg in legs), terms.approval.four_eyes_from
    four_eyes = override or (from_amount is not None and total_minor >= terms.minor(from_amount))
    people, excluded = 2 if four_eyes else 1, tuple(sorted(set(adjusted_by)))
    return Requirement(routes=tuple(sorted(routes)), people=people, excluded=excluded)


def satisfied(
    required: Requirement, signoffs: Iterable[Signoff], digest: str, kind: DecisionKind = DecisionKind.APPROVE
) -> bool:
    """Whether the decisions of that kind on this digest cover every role, from enough different people who each hold
    one of them and are not excluded.

    The caller must take account of a denial or hold recorded after them.
    """
    routes = frozenset(required.routes)
    counting = counted(required, signoffs, digest, kind)
    covered = frozenset(role for signoff in counting for role in signoff.roles)
    return bool(routes) and routes <= covered and len({s.user for s in counting}) >= max(required.people, 1)


def counted(
    required: Requirement, signoffs: Iterable[Signoff], digest: str, kind: DecisionKind = DecisionKind.APPROVE
) -> list[Signoff]:
    """Return those of the decisions that count towards the requirement."""
    routes = frozenset(required.routes)
    its = [s for s in signoffs if s.kind is kind and s.digest == digest and s.roles & routes]
    return [s for s in its if s.user not in required.excluded]


def may_decide(
    approver: Approver,
    kind: DecisionKind,
    required: Requirement,
    *,
    referral: str,
    parties: frozenset[str],
    entered_by: Collection[str] = (),
    already_signed_by: Collection[str] = (),
) -> None:
    """Return if the person may record this decision now.

    ``parties`` are the marks of everyone whom the claim benefits. ``already_signed_by`` are this person's accounts,
    possibly the present one, that have already recorded a decision of this kind on the current digest.

    Raises:
        NotAllowed: if the person holds none of the required roles. An administrator has no authority over money.
        DecisionRefused: naming the rule, if the person has an interest, entered the claim, or would count twice.
    """
    if not approver.roles & frozenset(required.routes):
        raise NotAllowed(
            f"To {label('decision', kind)} referral {referral} you need the role {_roles(required.routes)}."
        )
    if identity.of_kinds(approver.marks & parties, identity.SELF_REFERRAL_KINDS):
        raise DecisionRefused(referral, "own_claim", "you benefit from this claim and can't decide on it")
    if approver.user in entered_by:
        raise DecisionRefused(referral, "entered_by_hand", "you entered this claim by hand and can't decide on it")
    if kind in _COUNTED and already_signed_by:
        before = next((f" as {name}" for name in sorted(already_signed_by) if name != approver.user), "")
        raise DecisionRefused(referral, "different_people", f"you have signed it{before} already; another person must")


def _roles(roles: Iterable[Role]) -> str:
    return listed(labels("role", roles), "or")


def check_words(kind: DecisionKind, reason: str, note: str) -> None:
    """Return if the reason is a code of this kind of decision and the note is not empty.

    Raises:
        RequestInvalid: naming what would be right.
    """
    if reason not in REASON_CODES[kind]:
        raise RequestInvalid(
            f"{reason!r} is not a reason to {label('decision', kind)}; use one of {', '.join(REASON_CODES[kind])}",
            "reason",
        )
    check_note(note)


def check_note(note: str) -> None:
    """Return if the note of a decision is not empty and can be stored.

    Raises:
        RequestInvalid: naming what would be right.
    """
    if not note.strip():
        raise RequestInvalid("Enter a note that says why.", "note")
    if any(each == "\0" or "\ud800" <= each <= "\udfff" for each in note):
        raise RequestInvalid("The note contains characters that can't be stored.", "note")
    if len(note) > NOTE_LENGTH_MAX:
        raise RequestInvalid(f"A note has at most {NOTE_LENGTH_MAX:,} characters, this one has {len(note):,}.", "note")


def _promised_kinds(terms: Terms) -> set[RewardKind]:
    """Return the kinds that a claim without legs would have paid: a person must be able to decide on it."""
    rules = (terms.rewards.referrer, terms.rewards.referee)
    return {rule.kind for rule in rules if rule is not None}


class Ruling(StrEnum):
    """The approval state of a claim. `PENDING` never ends by itself: silence never pays."""

    PENDING = "pending"
    HELD = "held"
    APPROVED = "approved"
    DENIED = "denied"


def ruling(required: Requirement, signoffs: Iterable[Signoff], digest: str, *, frozen: bool = False) -> Ruling:
    """Return the ruling from decisions in the order they were made; those on another digest or without a route don't
    count.

    A denial is final. A hold lasts until it is released and outweighs approvals, earlier or later. A claim that is
    ``frozen`` by a dispute is never approved, whatever the approvals.
    """
    routes = frozenset(required.routes)
    counting = [s for s in signoffs if s.digest == digest and s.roles & routes]
    held = False
    for signoff in counting:
        if signoff.kind is DecisionKind.DENY:
            return Ruling.DENIED
        if signoff.kind is DecisionKind.HOLD:
            held = True
        elif signoff.kind is DecisionKind.RELEASE:
            held = False
    if held:
        return Ruling.HELD
    return Ruling.APPROVED if not frozen and satisfied(required, counting, digest) else Ruling.PENDING
