"""What intake warns of: a fact that is recorded as it came, and has less effect than its sender may think (SPEC §3).

A warning never depends on other facts. Only what a program is called is known by nothing but the register.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from referral_rewards.domain.errors import perhaps


class WarningKind(StrEnum):
    """What a warning is about; senders may count and filter by it."""

    UNKNOWN_PROGRAM = "unknown_program"
    UNREADABLE_PHONE = "unreadable_phone"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_WORD = "unknown_word"
    AMOUNT_WITHOUT_EFFECT = "amount_without_effect"


class FactWarning(NamedTuple):
    """One thing that a fact says in vain: where it says it, what comes of it, and what would be right."""

    kind: WarningKind
    where: str
    what: str


def unknown_programs(named: Iterable[str], published: Iterable[str]) -> Mapping[str, FactWarning]:
    """Return the warning for each of the named programs that was never published."""
    known = set(published)
    return {program: _unknown_program(program, known) for program in sorted(set(named) - known)}


def _unknown_program(program: str, known: Iterable[str]) -> FactWarning:
    what = f"{program!r} is not published; the fact waits until it is{perhaps(program, known)}"
    return FactWarning(WarningKind.UNKNOWN_PROGRAM, "data.program", what)


#: Of each group the first lines are told by number.
LINES_MAX: Final = 5
#: Of each kind so many different warnings are told apart; all further ones are counted together.
GROUPS_MAX: Final = 10


@dataclass(slots=True)
class WarningGroup:
    """Equal warnings of a file: how many, and the numbers of the first lines with them."""

    kind: WarningKind
    where: str
    what: str
    count: int = 0
    lines: list[int] = field(default_factory=list)


class WarningsOfFile:
    """Counts the warnings of a file of any length in constant memory."""

    def __init__(self) -> None:
        self._groups: dict[WarningKind, dict[FactWarning, WarningGroup]] = {}

    def add(self, line: int, warning: FactWarning) -> None:
        """Count one warning of a line."""
        groups = self._groups.setdefault(warning.kind, {})
        if warning not in groups and len(groups) >= GROUPS_MAX:
            warning = FactWarning(warning.kind, "", "further warnings of this kind, not told apart")
        group = groups.setdefault(warning, WarningGroup(*warning))
        group.count += 1
        if len(group.lines) < LINES_MAX:
            group.lines.append(line)

    def __iter__(self) -> Iterator[WarningGroup]:
        """Yield the groups by kind, in the order of `WarningKind`, each kind in the order in which it was found."""
        for kind in WarningKind:
            yield from self._groups.get(kind, {}).values()
