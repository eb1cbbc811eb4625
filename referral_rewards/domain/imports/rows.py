"""The rows of another tool's export, one at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypedDict

from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.facts.csv_rows import bounded
from referral_rewards.domain.facts.jsonl import LINE_BYTES_MAX
from referral_rewards.domain.imports.mapping import REQUIRED, ToolMapping, folded


class _How(TypedDict):
    encoding: str
    errors: str
    newline: str


#: How a file is opened. What is not UTF-8 comes through as lone surrogates, so that its line can be named.
HOW: Final[_How] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
_LONE: Final = range(0xDC80, 0xDD00)


class Row(NamedTuple):
    """A row: the number of its first line, its cells by their columns' folded names, and why it can't be read."""

    number: int
    cells: Mapping[str, str]
    unreadable: str = ""

    def text(self, column: str) -> str:
        """What stands in a column, without space around it; empty where the file has no such column."""
        return self.cells.get(folded(column), "").strip()


@dataclass(frozen=True, slots=True)
class Sheet:
    """An export: the columns of the mapping that it lacks, and its rows."""

    missing: tuple[str, ...]
    rows: Iterator[Row]


def sheet_of(text: io.TextIOWrapper, mapping: ToolMapping) -> Sheet:
    """Return the export in a text that was opened as `HOW` says.

    Raises:
        BadInput: if its header can't be read, or lacks a column without which no row can be judged.
    """
    csv.field_size_limit(LINE_BYTES_MAX)
    rows = csv.reader(bounded(text), delimiter=mapping.separator, strict=True)
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise BadInput([Problem("line 1", f"is no CSV header: {error}")]) from None
    columns = [folded(name) for name in header]
    _hold_complete(header, columns, mapping)
    return Sheet(tuple(_lacking(columns, mapping)), _rows(rows, columns))


def _hold_complete(header: Sequence[str], columns: Sequence[str], mapping: ToolMapping) -> None:
    if not any(columns):
        raise BadInput([Problem("line 1", "is no CSV header: it is empty")])
    problems = [Problem(f"line 1: column {name!r}", _wanted(name, header)) for name in _needed(columns, mapping)]
    used = {folded(name) for name in _named(mapping)}
    problems += [
        Problem(f"line 1: column {name!r}", "is there twice, also in another spelling; leave one of them")
        for place, name in enumerate(header)
        if columns[place] in used and columns[place] in columns[:place]
    ]
    if problems:
        raise BadInput(problems)


def _needed(columns: Sequence[str], mapping: ToolMapping) -> Iterator[str]:
    """The columns that must be there and are not."""
    yield from (name for name in mapping.needed if folded(name) not in columns)
    for said in REQUIRED:
        cell = mapping.facts[said]
        if cell.column is not None and not any(folded(name) in columns for name in cell.column):
            yield cell.column[0]


def _lacking(columns: Sequence[str], mapping: ToolMapping) -> Iterator[str]:
    """The columns of the other values that are not there, so that nobody misses what they say without knowing."""
    for said, cell in mapping.facts.items():
        if said not in REQUIRED and cell.column and not any(folded(name) in columns for name in cell.column):
            yield cell.column[0]


def _named(mapping: ToolMapping) -> Iterator[str]:
    yield from mapping.needed
    for cell in mapping.facts.values():
        yield from cell.column or ()


def _wanted(name: str, header: Sequence[str]) -> str:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        return "is missing; the file is separated by another mark than the mapping's `separator`"
    return "is missing: export it, or name the file's own column in a copy of the mapping"


def _rows(rows: Iterable[Sequence[str]], columns: Sequence[str]) -> Iterator[Row]:
    reading = iter(rows)
    while True:
        number = getattr(rows, "line_num", 0) + 1
        try:
            cells = next(reading)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, {}, f"is not CSV: {error}")
            continue
        if any(cells):
            yield _row(number, columns, cells)


def _row(number: int, columns: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(columns):
        return Row(number, {}, f"has {len(cells)} cells where the header has {len(columns)}")
    if any(not cell.isascii() and any(ord(each) in _LONE for each in cell) for cell in cells):
        return Row(number, {}, "is not UTF-8")
    return Row(number, dict(zip(columns, cells, strict=True)))
