"""Who may tell which facts (SPEC §3, Intake).

A right is data: the sources and the types of the facts that a token, or its user, may tell. What a teller could tell
when a fact was received stands with the fact, so that no verdict changes when rights do.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from referral_rewards.domain.errors import BadInput, Problem, none_of
from referral_rewards.domain.facts.ids import source_problem
from referral_rewards.domain.facts.payloads import FactType

#: As a source or a type: every one, also those that are added later.
ANY: Final = "*"
_ALL: Final = frozenset({ANY})
SOURCES_MAX: Final = 50
#: A longer list is cut in a refusal.
_SHOWN_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Rights:
    """The sources and the types of the facts that somebody may tell; nothing without any of either."""

    sources: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def __and__(self, other: "Rights") -> "Rights":
        """Return what both may tell."""
        return Rights(_both(self.sources, other.sources), _both(self.types, other.types))

    @property
    def are_none(self) -> bool:
        return not (self.sources and self.types)

    def cover(self, source: str, fact_type: str) -> bool:
        """Return whether a fact of this source and type may be told."""
        return _holds(self.sources, source) and _holds(self.types, fact_type)

    def within(self, other: "Rights") -> bool:
        """Return whether the other may tell all of it too."""
        return self & other == self

    def objection(self, source: str, fact_type: str) -> Problem | None:
        """Return the problem of a fact that may not be told, with what may be told instead; None if it may be."""
        if not _holds(self.sources, source):
            return Problem("source", f"{source!r} may not be told by this sender: it may tell {self}")
        if not _holds(self.types, fact_type):
            return Problem("type", f"{fact_type!r} may not be told by this sender: it may tell {self}")
        return None

    def __str__(self) -> str:
        """Return it in words, as ``conversion.*, referral.claimed of acme/shop``."""
        if self.are_none:
            return "nothing"
        return f"{_words(_by_family(self.types), 'every type')} of {_words(self.sources, 'every source')}"


EVERYTHING: Final = Rights(_ALL, _ALL)
NOTHING: Final = Rights()


def rights(sources: Iterable[str], types: Iterable[str]) -> Rights:
    """Return the rights that these words name. A family is written ``conversion.*`` and means the types it has now.

    Raises:
        BadInput: at ``sources`` or ``types``, with every word that names nothing.
    """
    named, meant, problems = sorted(set(sources)), set[str](), list[Problem]()
    for source in named:
        if source != ANY and (why := source_problem(source)) is not None:
            problems.append(Problem("sources", f"{source!r} can't be a source: {why}"))
    if len(named) > SOURCES_MAX:
        problems.append(Problem("sources", f"at most {SOURCES_MAX} can be named, or {ANY} for every one"))
    for word in sorted(set(types)):
        found = _types_of(word)
        meant.update(found)
        if not found:
            problems.append(Problem("types", none_of(word, (*FactType, *FAMILIES, ANY))))
    if problems:
        raise BadInput(problems)
    return Rights(_whole(named), _whole(meant))


#: The families of types that have several members.
FAMILIES: Final = tuple(
    f"{family}.{ANY}"
    for family in dict.fromkeys(each.partition(".")[0] for each in FactType)
    if sum(each.startswith(f"{family}.") for each in FactType) > 1
)


def _types_of(word: str) -> Collection[str]:
    if word == ANY:
        return (ANY,)
    if word in FAMILIES:
        return [str(each) for each in FactType if each.startswith(word.removesuffix(ANY))]
    return [str(each) for each in FactType if each == word]


def _holds(names: frozenset[str], name: str) -> bool:
    return name in names or ANY in names


def _whole(names: Iterable[str]) -> frozenset[str]:
    """Return the names; beside `ANY` no other one says anything."""
    found = frozenset(names)
    return _ALL if ANY in found else found


def _both(some: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    if ANY in some:
        return others
    return some if ANY in others else some & others


def _by_family(types: frozenset[str]) -> frozenset[str]:
    """Return the types, with the name of each family that is there in full in place of its members."""
    whole = [family for family in FAMILIES if types.issuperset(_types_of(family))]
    return types.difference(*map(_types_of, whole)).union(whole)


def _words(names: frozenset[str], every: str) -> str:
    if ANY in names:
        return every
    shown, more = sorted(names)[:_SHOWN_MAX], len(names) - _SHOWN_MAX
    return ", ".join((*shown, *((f"{more} more",) if more > 0 else ())))


class Teller(NamedTuple):
    """Who told a fact, with which token, and what they could tell when it was received.

    ``user`` is None for what this installation recorded itself, such as what people enter on its own pages. ``token``
    is None where no token was shown: a source that was asked again is named by its name.
    """

    user: str | None
    token: UUID | None
    rights: Rights


#: This installation itself.
OURSELVES: Final = Teller(None, None, EVERYTHING)
