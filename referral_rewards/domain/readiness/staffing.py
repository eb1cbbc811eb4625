"""Whether the people there are can make every decision that a program may ask for (SPEC §6)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from referral_rewards.domain.claims.approval import (
    DecisionKind,
    Requirement,
    Signoff,
    requirement,
    requirement_of_a_move,
    satisfied,
)
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.claims.rewards import Leg, Side
from referral_rewards.domain.labels import label, labels, listed
from referral_rewards.domain.programs.terms import RewardKind, Role, Terms
from referral_rewards.domain.readiness.rates import most_of_a_claim, rates


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in now. ``is_referrer``: known to refer in this program; ``enters_facts``: may do so by
    hand. Nobody decides on a claim that they benefit from or entered."""

    name: str
    roles: frozenset[Role]
    is_referrer: bool = False
    enters_facts: bool = False


class Occasion(NamedTuple):
    """A kind of decision that the program may ask for, and what it needs."""

    what: str
    required: Requirement


def occasions(terms: Terms) -> list[Occasion]:
    """Every kind of decision that these terms can lead to. What an override needs is asked of any program."""
    kinds = sorted({rate.kind for rate in rates(terms)})
    found = [
        Occasion(label("kind", kind), requirement(terms, [_leg(terms, kind, 1)], (), override=False)) for kind in kinds
    ]
    found += _of_four_eyes(terms)
    plain = requirement(terms, (), (), override=False)
    if terms.partners:
        exception = requirement(terms, (), (Flag.PARTNER_EXCEPTION,), override=False)
        found.append(Occasion("a partner exception", exception))
    disputed = requirement(terms, (), (Flag.DISPUTED_ATTRIBUTION,), override=False)
    found.append(Occasion("a disputed attribution", disputed))
    found.append(Occasion("a changed attribution", requirement_of_a_move(plain)))
    found.append(Occasion("an override", requirement(terms, (), (), override=True)))
    return found


def staffing_gaps(terms: Terms, people: Sequence[Person]) -> list[str]:
    """What these people can't do, a sentence each."""
    return [*_nobody(terms, people), *_too_few(terms, people), *_only_one(terms, people)]


def holders(terms: Terms, people: Sequence[Person]) -> Mapping[Role, tuple[str, ...]]:
    """Who holds each role that the program may ask for."""
    return {role: tuple(sorted(p.name for p in people if role in p.roles)) for role in sorted(_needs(terms))}


def _of_four_eyes(terms: Terms) -> Iterator[Occasion]:
    """Claims for either side or both that can come to the amount from which on two people must approve."""
    from_minor = terms.minor(terms.approval.four_eyes_from or Decimal(0))
    if from_minor <= 1:
        return  # None at all, or every claim: what a kind of reward needs says so already.
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
    """Each role that the program may ask for, with what for."""
    needs: dict[Role, list[str]] = {}
    for occasion in occasions(terms):
        for role in occasion.required.routes:
            needs.setdefault(role, []).append(occasion.what)
    needs.setdefault(terms.approval.escalate_to, []).append("claims that are overdue (approval.escalate_to)")
    return needs


def _nobody(terms: Terms, people: Sequence[Person]) -> Iterator[str]:
    """Roles without anybody who could sign in."""
    held = {role for person in people for role in person.roles}
    for role, what_for in sorted(_needs(terms).items()):
        if role not in held:
            yield f"nobody who can sign in has the role {label('role', role)}, which is needed for {listed(what_for)}"


def _too_few(terms: Terms, people: Sequence[Person]) -> Iterator[str]:
    """Decisions for which every role is held, but by too few different people."""
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
    """People without whom a decision can't be made and who may have to stand aside from it."""
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
            yield f"{name} may enter facts by hand, and nobody else can decide on claims that {name} entered: {what}"


def _enough(required: Requirement, people: Sequence[Person]) -> bool:
    """Whether the requirement is met if everybody approves: more approvals never undo one."""
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
