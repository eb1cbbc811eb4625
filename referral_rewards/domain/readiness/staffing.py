"""Checks that the current users can make every decision that a program may need (SPEC §6)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from referral_rewards.domain.claims.approval import (
    MOVE,
    DecisionKind,
    Requirement,
    Signoff,
    requirement,
    satisfied,
)
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.claims.rewards import Leg, Side
from referral_rewards.domain.facts.rights import NOTHING, Rights
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.programs.terms import RewardKind, Role, Terms
from referral_rewards.domain.readiness.rates import most_of_a_claim, rates


@dataclass(frozen=True, slots=True)
class Person:
    """A user who can sign in now. ``is_referrer``: a known referrer of this program. ``enters_facts``: may tell facts,
    and ``tells`` which ones. Users can't decide on a claim that they benefit from, or that rests on what they told.
    ``password_alone``: signs in with a password of ours, and has set up no second factor. ``unconfirmed``: an
    administrator changed how they sign in, and nobody confirmed it yet, so that they decide nothing."""

    name: str
    roles: frozenset[Role]
    is_referrer: bool = False
    enters_facts: bool = False
    tells: Rights = NOTHING
    password_alone: bool = False
    unconfirmed: bool = False


class Occasion(NamedTuple):
    """A kind of decision that the program may need, and its required approvals."""

    what: str
    required: Requirement


def occasions(terms: Terms) -> list[Occasion]:
    """Return every kind of decision that these terms can lead to. Every program may need an override."""
    kinds = sorted({rate.kind for rate in rates(terms)})
    found = [
        Occasion(label("kind", kind), requirement(terms, [_leg(terms, kind, 1)], (), override=False)) for kind in kinds
    ]
    found += _of_four_eyes(terms)
    if terms.partners:
        exception = requirement(terms, (), (Flag.PARTNER_EXCEPTION,), override=False)
        found.append(Occasion("a partner exception", exception))
    disputed = requirement(terms, (), (Flag.DISPUTED_ATTRIBUTION,), override=False)
    found.append(Occasion("a disputed attribution", disputed))
    found.append(Occasion("a changed attribution", MOVE))
    found.append(Occasion("an override", requirement(terms, (), (), override=True)))
    return found


def staffing_gaps(terms: Terms, people: Sequence[Person]) -> list[str]:
    """Return the decisions that these people can't make, one sentence each."""
    able = [person for person in people if not person.unconfirmed]
    return [*_nobody(terms, people), *_too_few(terms, able), *_only_one(terms, able)]


def approvers_who_tell(terms: Terms, people: Sequence[Person]) -> list[str]:
    """Return the sentences that name who may approve and also tell facts: they can't approve what they told."""
    approving = {role for occasion in occasions(terms) for role in occasion.required.routes}
    found = sorted((p for p in people if p.enters_facts and p.roles & approving), key=lambda person: person.name)
    return [
        f"{each.name} approves and may also tell facts ({each.tells}): {each.name} can't approve what rests on them"
        for each in found
    ]


def approvers_by_password_alone(terms: Terms, people: Sequence[Person]) -> list[str]:
    """Return the sentence that names who may approve and signs in with a password alone; none if nobody does."""
    approving = {role for occasion in occasions(terms) for role in occasion.required.routes}
    found = sorted(each.name for each in people if each.password_alone and each.roles & approving)
    return [f"no second factor is set up by {listed(found)}"] if found else []


def holders(terms: Terms, people: Sequence[Person]) -> Mapping[Role, tuple[str, ...]]:
    """Return the holders of each role that the program may need."""
    able = [person for person in people if not person.unconfirmed]
    return {role: tuple(sorted(p.name for p in able if role in p.roles)) for role in sorted(_needs(terms))}


def _of_four_eyes(terms: Terms) -> Iterator[Occasion]:
    """Yield the claims, for either side or both, that can reach the amount from which two people must approve."""
    from_minor = terms.minor(terms.approval.four_eyes_from or Decimal(0))
    if from_minor <= 1:
        return  # None at all, or every claim: then the occasion of each reward kind covers it already.
    rewarded = {rate.side: rate.kind for rate in rates(terms)}
    found: dict[str, Occasion] = {}
    for sides in [(side,) for side in rewarded] + [tuple(rewarded)]:
        kinds = sorted({rewarded[side] for side in sides})
        legs = [_leg(terms, kind, from_minor) for kind in kinds]
        for flags in ((), (Flag.PARTNER_EXCEPTION,))[: 2 if terms.partners and Side.REFERRER in sides else 1]:
            most = most_of_a_claim(terms, sides, partners=bool(flags))
            what = f"{listed(labels('kind', kinds))} of {terms.approval.four_eyes_from} {terms.currency} or more"
            what += " for a partner" if flags else ""
            if most is None or most >= from_minor:
                found[what] = Occasion(what, requirement(terms, legs, flags, override=False))
    yield from found.values()


def _needs(terms: Terms) -> dict[Role, list[str]]:
    """Return each role that the program may need, with the decisions it is needed for."""
    needs: dict[Role, list[str]] = {}
    for occasion in occasions(terms):
        for role in occasion.required.routes:
            needs.setdefault(role, []).append(occasion.what)
    needs.setdefault(terms.approval.escalate_to, []).append("claims that are overdue (approval.escalate_to)")
    return needs


def _nobody(terms: Terms, people: Sequence[Person]) -> Iterator[str]:
    """Yield the roles that no user who can sign in and decide holds."""
    held = {role for person in people if not person.unconfirmed for role in person.roles}
    for role, what_for in sorted(_needs(terms).items()):
        if role not in held:
            waiting = [f"{each.name} has it and waits to be confirmed" for each in people if role in each.roles]
            able = "decide" if waiting else "sign in"
            said = f"nobody who can {able} has the role {label('role', role)}, which is needed for {listed(what_for)}"
            yield "; ".join([said, *sorted(waiting)])


def _too_few(terms: Terms, people: Sequence[Person]) -> Iterator[str]:
    """Yield the decisions for which every role is held, but by too few different people."""
    held = {role for person in people for role in person.roles}
    lacking: dict[tuple[str, ...], list[str]] = {}
    for occasion in occasions(terms):
        routes = frozenset(occasion.required.routes)
        if routes <= held and not _enough(occasion.required, people):
            alone = tuple(sorted(person.name for person in people if person.roles & routes))
            lacking.setdefault(alone, []).append(
                f"{occasion.what} ({listed(labels('role', occasion.required.routes))})"
            )
    for names, what in sorted(lacking.items()):
        yield f"two different people must approve {listed(what)}, but there is only {listed(names)}"


def _only_one(terms: Terms, people: Sequence[Person]) -> Iterator[str]:
    """Yield the people without whom a decision can't be made, but who may be excluded from it."""
    for person in sorted(people, key=lambda each: each.name):
        rest = [other for other in people if other is not person]
        stuck = [
            occasion.what
            for occasion in occasions(terms)
            if _enough(occasion.required, people) and not _enough(occasion.required, rest)
        ]
        name, what = person.name, listed(stuck) if stuck else ""
        if stuck and person.is_referrer:
            yield f"{name} is a referrer here, and nobody else can decide on claims that benefit {name}: {what}"
        if stuck and person.enters_facts:
            yield f"{name} may tell facts, and nobody else can decide on claims that rest on what {name} told: {what}"


def _enough(required: Requirement, people: Sequence[Person]) -> bool:
    """Whether the requirement is met if all of them approve: more approvals never invalidate others."""
    signoffs = (Signoff(person.name, person.roles, DecisionKind.APPROVE, "") for person in people)
    return satisfied(required, signoffs, "")


def _leg(terms: Terms, kind: RewardKind, amount_minor: int) -> Leg:
    return Leg(
        role=Side.REFERRER,
        beneficiary=None,
        kind=kind,
        amount_minor=amount_minor,
        currency=terms.currency,
        rail=terms.payouts.rails[kind],
    )
