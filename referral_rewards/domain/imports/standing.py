"""How the tool left a reward: paid rewards, and whatever hangs together with one, are never paid again by us."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from referral_rewards.domain.facts.identity import IDENTITY_KINDS, Marker, of_kinds
from referral_rewards.domain.imports.cells import Cells, CellWrong
from referral_rewards.domain.imports.mapping import ANYTHING, REFEREE, Said, StatusRule, ToolMapping
from referral_rewards.domain.imports.rows import Row

#: A word that may be repeated to people: it could be nobody's name with a number, address or account.
_PLAIN_WORD: Final = re.compile(r"[A-Za-z_ -]{1,30}")


class Left(StrEnum):
    """How the tool left the reward of a row."""

    OPEN = "open"
    PAID = "paid"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    NO_REFERRAL = "no_referral"

    @property
    def may_be_paid(self) -> bool:
        """Whether the tool paid it, or nobody can tell."""
        return self in (Left.PAID, Left.UNKNOWN)


class Standing(NamedTuple):
    """How a row was left, by what word of which column."""

    left: Left
    column: str
    why: str


class Key(NamedTuple):
    """Something that a row shares with every other of the same referral, order or person."""

    what: str
    value: str


def standing_of(row: Row, mapping: ToolMapping) -> Standing:
    """Return how the tool left the row's reward. What any column says was paid is paid, and paid outweighs unknown."""
    told = min(_told(row, mapping), key=lambda each: _WEIGHTS[each.left])
    if told.left is Left.PAID or (column := other_kind(row, mapping)) is None:
        return told
    return Standing(Left.NO_REFERRAL, column, "says that the row is of another kind than the mapping takes")


def other_kind(row: Row, mapping: ToolMapping) -> str | None:
    """Return the column by which the row is of a kind that the mapping does not take, or None."""
    for column, words in mapping.only.items():
        if row.text(column).casefold() not in {word.casefold() for word in words}:
            return column
    return None


#: What weighs most comes first.
_WEIGHTS: Final = {Left.PAID: 0, Left.UNKNOWN: 1, Left.CLOSED: 2, Left.OPEN: 3}


def _told(row: Row, mapping: ToolMapping) -> Iterator[Standing]:
    for rule in mapping.status:
        yield _by_rule(row.text(rule.column), rule)


def _by_rule(word: str, rule: StatusRule) -> Standing:
    for left, words in ((Left.PAID, rule.paid), (Left.CLOSED, rule.closed), (Left.OPEN, rule.open)):
        if word.casefold() in {each.casefold() for each in words}:
            return Standing(left, rule.column, f"says {word}" if word else "is empty")
    for left, words in ((Left.PAID, rule.paid), (Left.CLOSED, rule.closed), (Left.OPEN, rule.open)):
        if word and ANYTHING in words:
            return Standing(left, rule.column, "is filled in")
    said = f"{word!r}" if _PLAIN_WORD.fullmatch(word) else "a status" if word else "no status"
    return Standing(Left.UNKNOWN, rule.column, f"has {said} of which the mapping does not say whether the tool paid")


def keys_of(row: Row, cells: Cells, marker: Marker) -> list[Key]:
    """Return what names the row's referral, its order and its referee. What can't be read names nothing."""
    keys = [
        Key(said, value)
        for said in (Said.REFERRAL, Said.ORDER)
        if (value := _read_or_none(said, row, cells)) is not None
    ]
    person = {
        said.removeprefix("referee_"): value
        for said in REFEREE
        if (value := _read_or_none(said, row, cells)) is not None
    }
    marks = of_kinds(marker.marks(person, source=cells.mapping.source), (*IDENTITY_KINDS, "local_phone"))
    return keys + [Key("referee", mark) for mark in sorted(marks)]


def _read_or_none(said: Said, row: Row, cells: Cells) -> str | None:
    try:
        return cells.read(said, row)
    except CellWrong:
        return None
