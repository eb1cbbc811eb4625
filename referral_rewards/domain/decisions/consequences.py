"""Describes what happens once a decision is recorded. A person reads it before deciding."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.claims.approval import Approver, DecisionKind, Requirement, Signoff, requirement_of_a_move
from referral_rewards.domain.claims.rewards import Leg
from referral_rewards.domain.claims.ruling import Ruling, ruling
from referral_rewards.domain.programs.terms import Role

_K = DecisionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What the consequences of a decision depend on.

    ``signoffs`` are the decisions in effect on this ``digest``; ``at_once`` says whether the terms pay each reward as
    soon as it is approved, or in the payout cycle; ``to`` is the referrer to whom a request moves the claim;
    ``against`` are the referrals that claim the same order for another referrer.
    """

    required: Requirement
    legs: Sequence[Leg]
    signoffs: Sequence[Signoff]
    digest: str
    at_once: bool = True
    to: str | None = None
    against: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Lacking:
    """What an approval still lacks: roles that no signer holds, and the number of further people."""

    roles: tuple[Role, ...]
    people: int

    def __str__(self) -> str:
        if self.roles:
            named = " and ".join(role.replace("_", " ") for role in self.roles)
            return named if len(self.roles) >= self.people else f"{named}, {_people(self.people)} in all"
        return _people(self.people)


def lacking(required: Requirement, signoffs: Iterable[Signoff], digest: str, kind: _K = _K.APPROVE) -> Lacking | None:
    """Return what is missing after the decisions of that kind on this digest; None if they are enough."""
    routes = frozenset(required.routes)
    counting = [s for s in signoffs if s.kind is kind and s.digest == digest and s.roles & routes]
    roles = routes - {role for signoff in counting for role in signoff.roles}
    people = max(required.people, 1) - len({signoff.user for signoff in counting})
    # One more person may hold several missing roles, and each further person may hold one of them.
    return Lacking(tuple(sorted(roles)), max(people, 1 if roles else 0)) if roles or people > 0 else None


def consequence(kind: DecisionKind, approver: Approver, prospect: Prospect) -> str:
    """Describe what would happen if this person recorded a decision of that kind now."""
    return _CONSEQUENCES[kind](approver, prospect)


def payment(legs: Sequence[Leg]) -> str:
    """Describe what is paid to whom: ``25.00 USD credit to dexter and 8.00 USD credit to c-brie``."""
    said = [f"{money.display(leg.amount_minor, leg.currency)} {_kind(leg)} to {leg.beneficiary}" for leg in legs]
    return " and ".join(said)


def _approved(approver: Approver, prospect: Prospect) -> str:
    own = Signoff(user=approver.user, roles=approver.roles, kind=_K.APPROVE, digest=prospect.digest)
    so_far = [*prospect.signoffs, own]
    if (open_ := lacking(prospect.required, so_far, prospect.digest)) is not None:
        return f"Your signature is recorded. Nothing is paid until it is also signed by {open_}."
    if ruling(prospect.required, so_far, prospect.digest) is Ruling.HELD:
        return "Your signature is recorded. Nothing is paid while the claim is on hold; once released, it is approved."
    if not prospect.legs:
        return "It is approved, and nothing is paid: the terms come to no amount."
    when = "paid at once" if prospect.at_once else "paid with the program's next payout cycle"
    against = f"{' and '.join(prospect.against)} {'is' if len(prospect.against) == 1 else 'are'} denied"
    settled = f" This settles the dispute: {against}." if prospect.against else ""
    return (
        f"{payment(prospect.legs)}: set aside, and {when}.{settled} Until the first payment is sent, the claim can"
        " still be denied or held; after that, money can only be clawed back."
    )


def _denied(approver: Approver, prospect: Prospect) -> str:
    return (
        "Nothing is paid, and the referral closes as denied. Those whom it concerns are told, with the reason in words."
        " A later decision to reopen corrects it."
    )


def _held(approver: Approver, prospect: Prospect) -> str:
    return "Nothing is paid until somebody releases it. Signatures that were given are kept, and count again then."


def _released(approver: Approver, prospect: Prospect) -> str:
    if lacking(prospect.required, prospect.signoffs, prospect.digest) is None and prospect.legs:
        return f"It was signed by everybody whom it needs: {payment(prospect.legs)} goes on to be paid."
    return "It waits for approval again, with the signatures that it has. Nothing is paid by this."


def _asked(approver: Approver, prospect: Prospect) -> str:
    return "It stays in the queue, with your note. What arrives is judged at once, and a changed claim asks again."


def _reopened(approver: Approver, prospect: Prospect) -> str:
    return (
        "It is judged again with everything that came late, and comes back to the queue as a fresh claim. Checks that"
        " failed stay failed. Nothing is paid by this: to approve that claim is an override, and takes every role that"
        " it then names, by two people at least."
    )


def _moved(approver: Approver, prospect: Prospect) -> str:
    own = Signoff(user=approver.user, roles=approver.roles, kind=_K.REASSIGN, digest=prospect.digest)
    required = requirement_of_a_move(prospect.required)
    if (open_ := lacking(required, [*prospect.signoffs, own], prospect.digest, _K.REASSIGN)) is not None:
        return f"Your signature is recorded. Nothing is moved until it is also signed by {open_}."
    return (
        f"The claim is made out to {prospect.to or 'the other referrer'} and asks for approvals of its own; those that"
        " this one has are void. Nothing is paid by this."
    )


def _people(number: int) -> str:
    return "another person" if number == 1 else f"{number} other people"


def _kind(leg: Leg) -> str:
    return leg.kind.replace("_", " ")


_CONSEQUENCES: Final[Mapping[DecisionKind, Callable[[Approver, Prospect], str]]] = {
    _K.APPROVE: _approved,
    _K.DENY: _denied,
    _K.HOLD: _held,
    _K.RELEASE: _released,
    _K.REQUEST_EVIDENCE: _asked,
    _K.REOPEN: _reopened,
    _K.REASSIGN: _moved,
}
