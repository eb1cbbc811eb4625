"""Facts as they were told, and whose they are (SPEC §3)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

#: Raw terms, as their YAML says them.
Terms = Mapping[str, Any]

#: What a conversion may match by; an ``alias`` is an address with its ``+tag``.
_LINKING: Final = ("customer", "email", "phone", "alias")
#: What referrer and referee must not share.
_TELLTALE: Final = ("customer", "email", "phone", "local_phone", "fingerprint", "device", "alias")


@dataclass(frozen=True, slots=True)
class May:
    """What the teller of a fact may tell; ``*`` is every source or type."""

    sources: frozenset[str]
    types: frozenset[str]

    def tell(self, other: "Told") -> bool:
        """Whether they may tell the other fact."""
        return bool(self.sources & {other.source, "*"}) and bool(self.types & {other.type, "*"})


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """A fact: its public fields, and the marks of the person it is about and of what was seen with them.

    ``at`` is when it happened, ``may`` what its teller may tell (None: everything), ``domains`` those of the person's
    email addresses. ``label`` stands for the order's id while facts of several stores are told apart.
    A fact equals only itself.
    """

    source: str
    id: str
    type: str
    at: datetime
    data: Mapping[str, Any]
    marks: frozenset[str] = frozenset()
    may: May | None = None
    domains: frozenset[str] = frozenset()
    label: str | None = None

    @property
    def order(self) -> str | None:
        """The order that it names."""
        return self.label if self.label is not None else self.data.get("order")

    @property
    def precedence(self) -> tuple[datetime, str, str]:
        """The order of facts, however they arrived."""
        return self.at, self.source, self.id

    @property
    def identity(self) -> frozenset[str]:
        """The marks that a conversion may match by."""
        return of_kinds(self.marks, _LINKING)

    @property
    def telltale(self) -> frozenset[str]:
        """The marks that no referrer shares with a referee."""
        return of_kinds(self.marks, _TELLTALE)


def may_tell(fact: Told, other: Told) -> bool:
    """Whether whoever told the fact may tell the other one."""
    return fact.may is None or fact.may.tell(other)


def of_kinds(marks: Iterable[str], kinds: Sequence[str]) -> frozenset[str]:
    """The marks of these kinds."""
    return frozenset(mark for mark in marks if mark.partition(":")[0] in kinds)


def links(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a conversion of one is the other's: a mailbox shared by tags links no two named customers (SPEC §3)."""
    sides = [of_kinds(side, _LINKING) for side in (one, other)]
    shared = {mark.partition(":")[0] for mark in sides[0] & sides[1]}
    both_named = all(of_kinds(side, ("customer",)) for side in sides)
    return bool(shared - {"email"}) or ("email" in shared and not both_named)


def in_turn(facts: Iterable[Told]) -> list[Told]:
    """The facts, oldest first."""
    return sorted(facts, key=lambda fact: fact.precedence)


def of_type(facts: Iterable[Told], *types: str) -> list[Told]:
    """Those of these types, oldest first."""
    return in_turn(fact for fact in facts if fact.type in types)


def standing(said: Sequence[Told], takes: Callable[[Told], bool]) -> tuple[list[Told], bool]:
    """What stands of what takes something, and whether something that was to undo it may not (SPEC §3, Intake)."""

    def undoes(fact: Told, taken: Told) -> bool:
        return not takes(fact) and fact.at > taken.at

    stand = [
        taken
        for taken in said
        if takes(taken) and not any(undoes(fact, taken) and may_tell(fact, taken) for fact in said)
    ]
    return stand, any(undoes(fact, taken) for taken in stand for fact in said)
