"""Describes what happens once a decision is recorded. A person reads it before deciding."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.claims.approval import (
    MOVE,
    Approver,
    DecisionKind,
    Requirement,
    Ruling,
    Signoff,
    counted,
    ruling,
)
from referral_rewards.domain.claims.rewards import Leg, Promise
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.programs.terms import Role

_K = DecisionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What the consequences of a decision depend on.

    ``signoffs`` are the decisions in effect on this ``digest``; ``at_once`` says whether the terms pay each reward as
    soon as it is approved, or in the payout cycle; ``to`` is the referrer to whom a decision moves the claim, or a
    request would, and ``order`` what it links; ``asked`` is what a person typed, None while they choose;
    ``against`` are the referrals that claim the same order for another referrer.
    """

    required: Requirement
    legs: Sequence[Leg]
    signoffs: Sequence[Signoff]
    digest: str
    at_once: bool = True
    to: str | None = None
    asked: Asked | None = None
    promises: Sequence[Promise] = ()
    currency: str = ""
    closed: bool = False
    against: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Lacking:
    """What an approval still lacks: roles that no signer holds, and the number of further people."""

    roles: tuple[Role, ...]
    people: int

    def __str__(self) -> str:
        if self.roles:
            named = listed(labels("role", self.roles))
            return named if len(self.roles) >= self.people else f"{named} ({_people(self.people)} in total)"
        return _people(self.people)


def lacking(required: Requirement, signoffs: Iterable[Signoff], digest: str, kind: _K = _K.APPROVE) -> Lacking | None:
    """Return what is missing after the decisions of that kind on this digest; None if they are enough."""
    counting = counted(required, signoffs, digest, kind)
    roles = frozenset(required.routes) - {role for signoff in counting for role in signoff.roles}
    people = max(required.people, 1) - len({signoff.user for signoff in counting})
    # One more person may hold several missing roles, and each further person may hold one of them.
    return Lacking(tuple(sorted(roles)), max(people, 1 if roles else 0)) if roles or people > 0 else None


def consequence(kind: DecisionKind, approver: Approver, prospect: Prospect) -> str:
    """Describe what would happen if this person recorded a decision of that kind now."""
    return _CONSEQUENCES[kind](approver, prospect)


def payment(legs: Sequence[Leg]) -> str:
    """What is paid to whom: ``25.00 USD cash to dexter and 8.00 USD account credit to c-brie``."""
    return listed(
        f"{money.display(leg.amount_minor, leg.currency)} {label('kind', leg.kind)} to {leg.beneficiary}"
        for leg in legs
    )


def _approved(approver: Approver, prospect: Prospect) -> str:
    own = Signoff(user=approver.user, roles=approver.roles, kind=_K.APPROVE, digest=prospect.digest)
    so_far = [*prospect.signoffs, own]
    if (open_ := lacking(prospect.required, so_far, prospect.digest)) is not None:
        return f"Your signature is recorded. Nothing is paid before the missing signatures are there: {open_}."
    if ruling(prospect.required, so_far, prospect.digest) is Ruling.HELD:
        return "Your signature is recorded. Nothing is paid while the claim is on hold; releasing the hold approves it."
    if not prospect.legs:
        return "Nothing can be paid: the claim has no reward."
    when = "paid at once" if prospect.at_once else "paid with the program's next payout cycle"
    settled = ""
    if prospect.against:
        denied = f"referral{'' if len(prospect.against) == 1 else 's'} {listed(prospect.against)}"
        settled = f" This settles the attribution: {denied} will be denied."
    return (
        f"{payment(prospect.legs)} will be reserved and {when}.{settled} You can still deny the claim or put it on hold"
        " until the first payment is sent. After that, money can only be clawed back."
    )


def _denied(approver: Approver, prospect: Prospect) -> str:
    if prospect.closed:
        return (
            "The referral stays closed as it is, and what came late leaves the queue. Whoever appealed is told that the"
            " decision stands. What comes after this can still be answered."
        )
    return (
        "Nothing is paid, and the referral is closed as denied. The people concerned are told the reason."
        " Reopening the referral can correct this later."
    )


def _held(approver: Approver, prospect: Prospect) -> str:
    return "Nothing is paid until somebody releases the hold. Signatures are kept and count again then."


def _released(approver: Approver, prospect: Prospect) -> str:
    if lacking(prospect.required, prospect.signoffs, prospect.digest) is None and prospect.legs:
        return f"All signatures are there: {payment(prospect.legs)} will be paid."
    return "The claim waits for approval again and keeps its signatures. This alone pays nothing."


def _asked(approver: Approver, prospect: Prospect) -> str:
    return "The claim stays in the queue with your note. New evidence is judged at once and may void approvals."


def _reopened(approver: Approver, prospect: Prospect) -> str:
    return (
        "The referral is judged again with all late facts and comes back to the queue as a new claim. Failed checks"
        " stay failed. This alone pays nothing: approving the new claim is an override and takes at least two people,"
        " with every role that the claim names."
    )


def _moved(approver: Approver, prospect: Prospect) -> str:
    own = Signoff(user=approver.user, roles=approver.roles, kind=_K.REASSIGN, digest=prospect.digest)
    if (open_ := lacking(MOVE, [*prospect.signoffs, own], prospect.digest, _K.REASSIGN)) is not None:
        return f"Your signature is recorded. Nothing is moved before the missing signatures are there: {open_}."
    return (
        f"The claim moves to {prospect.to or 'the other referrer'} and needs new approvals; earlier ones become void."
        " This alone pays nothing."
    )


def _linked(approver: Approver, prospect: Prospect) -> str:
    own = Signoff(user=approver.user, roles=approver.roles, kind=_K.LINK, digest=prospect.digest)
    if (open_ := lacking(MOVE, [*prospect.signoffs, own], prospect.digest, _K.LINK)) is not None:
        return f"Your signature is recorded. Nothing is linked before the missing signatures are there: {open_}."
    asked = prospect.asked
    order = f"order {OrderName(asked.order, asked.store)}" if asked is not None and asked.order else "the order"
    again = " The referral is reopened for it." if prospect.closed else ""
    return (
        f"The referral hears of {order} and is judged again, flagged as linked by hand.{again} This alone pays nothing."
    )


def _adjusted(approver: Approver, prospect: Prospect) -> str:
    asked = prospect.asked
    if asked is None or asked.leg is None:
        return "A reward is left out or set to another amount. The claim then asks for approval by other people."
    was_minor = next((each.calculated_minor for each in prospect.promises if each.role == asked.leg), 0)
    was = money.display(was_minor, prospect.currency)
    if not asked.amount_minor:
        set_, raised = f"The {asked.leg}'s reward of {was} is left out.", False
    else:
        now, raised = money.display(asked.amount_minor, prospect.currency), asked.amount_minor > was_minor
        set_ = f"The {asked.leg}'s reward is set to {now}; {was} were calculated."
    override = " It is more than was calculated, so approving it is an override by two people." if raised else ""
    return f"{set_}{override} Earlier approvals become void, and other people than you must approve."


def _people(number: int) -> str:
    return "one more person" if number == 1 else f"{number} more people"


_CONSEQUENCES: Final[Mapping[DecisionKind, Callable[[Approver, Prospect], str]]] = {
    _K.APPROVE: _approved,
    _K.DENY: _denied,
    _K.HOLD: _held,
    _K.RELEASE: _released,
    _K.REQUEST_EVIDENCE: _asked,
    _K.REOPEN: _reopened,
    _K.REASSIGN: _moved,
    _K.ADJUST: _adjusted,
    _K.LINK: _linked,
}
