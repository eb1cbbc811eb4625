"""The register's mark: what it held at last, kept outside of it. By it a restored register knows that it lost some.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final


class Record(StrEnum):
    """A numbered, append-only part of the register."""

    DECISIONS = "decisions"
    POSTINGS = "postings"
    PAYOUT_STEPS = "payout_steps"


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest entry of a record: its number, and a hash over its content."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest entry of each record; one without entries is left out.

    ``restores`` counts the restores on record in the register. ``since`` is when the first mark was taken: what was
    paid before it is not covered.
    """

    restores: int
    newest: Mapping[Record, Newest]
    since: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What the register holds at the numbers of a mark: the hash of each entry; none for one that it lacks."""

    restores: int
    hashes: Mapping[Record, str | None]


def raised(kept: Mark | None, told: Mark) -> Mark:
    """Return the mark to keep after another was told: for each record the higher of both.

    A register that recorded a further restore begins anew: its numbers replace those from before. Any other lower
    number changes nothing.
    """
    if kept is None or told.restores > kept.restores:
        return told if kept is None else replace(told, since=min(kept.since, told.since))
    if told.restores < kept.restores:
        return kept
    both = [
        (record, max(ends, key=lambda each: each.number))
        for record in Record
        if (ends := [each.newest[record] for each in (kept, told) if record in each.newest])
    ]
    return Mark(kept.restores, dict(both), min(kept.since, told.since))


def lost(kept: Mark, held: Held) -> tuple[str, ...]:
    """Return what a register lacks of its mark, in words for the log; empty if it holds everything.

    An entry with another hash counts as lost, too: a restored register that went on has new entries under old numbers.
    Once a restore is on record, a mark from before it says nothing more.
    """
    if held.restores > kept.restores:
        return ()
    if held.restores < kept.restores:
        return (f"restore {kept.restores}",)
    return tuple(
        f"{_WORDS[record]} {end.number}"
        for record, end in sorted(kept.newest.items())
        if held.hashes.get(record) != end.hash
    )


_WORDS: Final[Mapping[Record, str]] = {
    Record.DECISIONS: "decision",
    Record.POSTINGS: "posting",
    Record.PAYOUT_STEPS: "payout step",
}
