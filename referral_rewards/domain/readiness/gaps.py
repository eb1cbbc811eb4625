"""Checks that a program is ready: clear terms, connected sources and rails, and people for every decision.

A program that is not ready still accepts facts; its referrals would wait silently and for ever for what is missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from referral_rewards.domain.claims.findings import instant
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.rail_catalogue import suited
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.readiness.rates import rates
from referral_rewards.domain.readiness.staffing import (
    Person,
    approvers_by_password_alone,
    approvers_who_tell,
    holders,
    staffing_gaps,
)
from referral_rewards.domain.readiness.terms_review import unclear
from referral_rewards.domain.referrals.inquiries import REGISTER

_RAILS = "payouts.rails."


class Area(StrEnum):
    """What a program needs before it can run, in the order in which it is reported."""

    TERMS = "terms"
    BILLING = "billing"
    RAILS = "rails"
    PEOPLE = "people"
    DATABASE = "database"


class Remark(NamedTuple):
    """A remark about one area: a gap, or what is in order."""

    area: Area
    what: str

    def __str__(self) -> str:
        return f"{self.area}: {self.what}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The input of the readiness check.

    ``terms`` are the version to check, None if none is in force or scheduled; ``version`` is None while it is only a
    file. ``sources`` are the connected sources that the terms name, each with the reason why it does not answer, or
    None if it does; ``rails`` are the connected rails, and ``halted`` those that were halted after a restore of the
    register. ``stopped`` says that the program is paused or has ended. ``unread`` are the sources of events of which
    some could not be taken: they may be about this program. ``role`` says in a sentence what the role of the process
    that asks may do too much in the database; None: nothing.
    """

    program: str
    terms: Terms | None
    version: int | None = None
    sources: Mapping[str, str | None] = field(default_factory=dict)
    rails: frozenset[str] = frozenset()
    halted: frozenset[str] = frozenset()
    people: tuple[Person, ...] = ()
    stopped: str | None = None
    unread: frozenset[str] = frozenset()
    role: str | None = None


def gaps(found: Readiness) -> list[Remark]:
    """Return everything that is missing, by area; empty if the program is ready."""
    if found.terms is None:
        return [Remark(Area.TERMS, f"no version of {found.program} is in force or published for later; publish one")]
    said = [Remark(Area.TERMS, found.stopped)] if found.stopped is not None else []
    said += [*_terms(found.terms), *_billing(found, found.terms), *_rails(found, found.terms)]
    said += [Remark(Area.PEOPLE, gap) for gap in staffing_gaps(found.terms, found.people)]
    return sorted(said, key=lambda remark: list(Area).index(remark.area))


def in_order(found: Readiness) -> list[Remark]:
    """Return what was checked and is in order, for the areas without a gap; includes the register as a source. Who may
    both approve and tell facts, or approves without a second factor, is named in any case, and a too strong role."""
    if found.terms is None:
        return []
    terms = found.terms
    number = "a file, not published" if found.version is None else f"version {found.version}"
    said = [Remark(Area.TERMS, f"{number}, in force from {instant(terms.effective_from)}; nothing is unclear")]
    for what, name in _named(terms):
        told = "only our own records; no outside source is asked" if name == REGISTER else "responds"
        said.append(Remark(Area.BILLING, f"{what}: {name} ({told})"))
    for kind in sorted({rate.kind for rate in rates(terms)}):
        said.append(
            Remark(Area.RAILS, f"{label('kind', kind)} in {terms.currency}: {label('rail', terms.payouts.rails[kind])}")
        )
    for role, names in holders(terms, found.people).items():
        said.append(Remark(Area.PEOPLE, f"{label('role', role)}: {listed(names) if names else 'nobody'}"))
    missing = {gap.area for gap in gaps(found)}
    people = (*approvers_who_tell(terms, found.people), *approvers_by_password_alone(terms, found.people))
    named = [Remark(Area.PEOPLE, each) for each in people]
    named += [Remark(Area.DATABASE, f"this process {found.role}")] if found.role is not None else []
    return [*(remark for remark in said if remark.area not in missing), *named]


def named_sources(terms: Terms) -> frozenset[str]:
    """Return the sources that the terms name."""
    return frozenset(name for _, name in _named(terms))


def _named(terms: Terms) -> Iterator[tuple[str, str]]:
    yield "conversions", terms.sources.conversions
    if terms.sources.customers is not None:
        yield "customers", terms.sources.customers


def _terms(terms: Terms) -> Iterator[Remark]:
    """Yield what is unclear in the terms; remarks about rails are in the area of the rails."""
    for problem in unclear(terms):
        yield Remark(Area.RAILS if problem.where.startswith(_RAILS) else Area.TERMS, str(problem))


def _billing(found: Readiness, terms: Terms) -> Iterator[Remark]:
    for what, name in _named(terms):
        if name == REGISTER:
            continue  # The register is always there. `_terms` reports that it does not know customers.
        if name not in found.sources:
            yield Remark(Area.BILLING, f"sources.{what}: {name} is not connected; see docs/guides/sources.md")
        elif (why := found.sources[name]) is not None:
            yield Remark(Area.BILLING, f"sources.{what}: {name} does not respond: {why}")
    for name in sorted(found.unread):
        yield Remark(Area.BILLING, f"events of source {name} could not be taken; see them with `referrals queue`")


def _rails(found: Readiness, terms: Terms) -> Iterator[Remark]:
    for kind in sorted({rate.kind for rate in rates(terms)}):
        rail = terms.payouts.rails[kind]
        if rail in suited(kind) and rail not in found.rails:  # An unsuited rail is already reported.
            there = ", ".join(sorted(found.rails)) or "none"
            yield Remark(Area.RAILS, f"{_RAILS}{kind}: {rail} is not connected (connected: {there})")
        if rail in found.halted:
            how = f"finance opens it by `referrals rails reopen {rail}`"
            yield Remark(Area.RAILS, f"{_RAILS}{kind}: {rail} is halted after a restore of the register; {how}")
