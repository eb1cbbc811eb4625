"""Whether a program is ready: its terms clear, its sources and rails connected, and people there for every decision.

A program that is not ready may still take facts; its referrals would wait for what is missing, silently and for good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from referral_rewards.domain.claims.findings import instant
from referral_rewards.domain.labels import label, listed
from referral_rewards.domain.payouts.rail_catalogue import suited
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.readiness.rates import rates
from referral_rewards.domain.readiness.staffing import Person, holders, staffing_gaps
from referral_rewards.domain.readiness.terms_review import unclear
from referral_rewards.domain.referrals.inquiries import REGISTER

_RAILS = "payouts.rails."


class Area(StrEnum):
    """What a program needs before it can run, in the order in which it is told."""

    TERMS = "terms"
    BILLING = "billing"
    RAILS = "rails"
    PEOPLE = "people"


class Remark(NamedTuple):
    """Something said about one area: a gap, or what was found in order."""

    area: Area
    what: str

    def __str__(self) -> str:
        return f"{self.area}: {self.what}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """All that the answer depends on.

    ``terms`` are the version to be judged, None if there is none in force or to come; ``version`` is None while it is
    only a file. ``sources`` are those of the terms that are connected, each with the reason why it does not answer, or
    None if it does; ``rails`` are connected too.
    """

    program: str
    terms: Terms | None
    version: int | None = None
    sources: Mapping[str, str | None] = field(default_factory=dict)
    rails: frozenset[str] = frozenset()
    people: tuple[Person, ...] = ()


def gaps(found: Readiness) -> list[Remark]:
    """Everything that is missing, by area; nothing if the program is ready."""
    if found.terms is None:
        return [Remark(Area.TERMS, f"no version of {found.program} is in force or published for later; publish one")]
    said = [*_terms(found.terms), *_billing(found, found.terms), *_rails(found, found.terms)]
    said += [Remark(Area.PEOPLE, gap) for gap in staffing_gaps(found.terms, found.people)]
    return sorted(said, key=lambda remark: list(Area).index(remark.area))


def in_order(found: Readiness) -> list[Remark]:
    """What was looked at in the areas without a gap, and came out well: the register as a source is told here."""
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
    return [remark for remark in said if remark.area not in missing]


def named_sources(terms: Terms) -> frozenset[str]:
    """The sources that the terms name."""
    return frozenset(name for _, name in _named(terms))


def _named(terms: Terms) -> Iterator[tuple[str, str]]:
    yield "conversions", terms.sources.conversions
    if terms.sources.customers is not None:
        yield "customers", terms.sources.customers


def _terms(terms: Terms) -> Iterator[Remark]:
    """What is unclear. What is said of a rail is told among the rails."""
    for problem in unclear(terms):
        yield Remark(Area.RAILS if problem.where.startswith(_RAILS) else Area.TERMS, str(problem))


def _billing(found: Readiness, terms: Terms) -> Iterator[Remark]:
    for what, name in _named(terms):
        if name == REGISTER:
            continue  # It is always there. That it knows no customers is unclear in the terms.
        if name not in found.sources:
            yield Remark(Area.BILLING, f"sources.{what}: {name} is not connected; set it in REFERRALS_SOURCES")
        elif (why := found.sources[name]) is not None:
            yield Remark(Area.BILLING, f"sources.{what}: {name} does not respond: {why}")


def _rails(found: Readiness, terms: Terms) -> Iterator[Remark]:
    for kind in sorted({rate.kind for rate in rates(terms)}):
        rail = terms.payouts.rails[kind]
        if rail in suited(kind) and rail not in found.rails:  # One that does not suit it at all is told already.
            there = ", ".join(sorted(found.rails)) or "none"
            yield Remark(Area.RAILS, f"{_RAILS}{kind}: {rail} is not connected (connected: {there})")
