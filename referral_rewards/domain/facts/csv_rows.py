"""Facts as CSV: the columns ``id, source, type, time``, then ``data.…`` with dots for what is nested.

An empty cell is a field left out; truths and scores get their types, everything else is text.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.facts.jsonl import LINE_BYTES_MAX, Line, bad_line, read_document

_ATTRIBUTES: Final = ("id", "source", "type", "time")
_BOOLEANS: Final = frozenset({"data.consent", "data.new_customer"})
_INTEGERS: Final = frozenset({"data.score"})
_TRUTH: Final[Mapping[str, bool]] = {"true": True, "false": False}


def csv_rows(opened: BinaryIO) -> Iterator[Line]:
    """The rows of a file below its header.

    Raises:
        BadInput: if the header can't be read.
    """
    csv.field_size_limit(LINE_BYTES_MAX)
    # What is not UTF-8 comes through as lone surrogates, so that the line it stands in can be named.
    with io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(bounded(text), strict=True)
        try:
            header = _checked_header(next(rows, []))
        except csv.Error as error:
            raise BadInput([Problem("line 1", f"is no CSV header: {error}")]) from None
        while True:
            number = rows.line_num + 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield bad_line(number, f"is not CSV: {error}")
                continue
            if any(cells):
                yield _csv_row(number, header, cells)


def bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a text, none of them longer than a little over the limit: a cell over it is then refused."""
    while line := text.readline(LINE_BYTES_MAX + 1):
        yield line


def _csv_row(number: int, header: Sequence[str], cells: Sequence[str]) -> Line:
    if len(cells) != len(header):
        return bad_line(number, f"has {len(cells)} cells where the header has {len(header)}")
    document: dict[str, Any] = {"specversion": "1.0", "data": {}}
    problems = []
    for column, cell in zip(header, cells, strict=True):
        if not cell:
            continue
        value: Any = cell
        if column in _BOOLEANS:
            value = _TRUTH.get(cell.lower(), cell)
        elif column in _INTEGERS and cell.isdecimal():
            value = int(cell)
        if isinstance(value, str) and not value.isascii() and any("\udc80" <= each <= "\udcff" for each in value):
            problems.append(Problem(column, "is not UTF-8"))
        if not _place(document, column.split("."), value):
            problems.append(Problem(column, "is a value and, by another column, a group of them"))
    if problems:
        return Line(number, None, tuple(problems))
    return read_document(number, document)


def _place(document: dict[str, Any], path: Sequence[str], value: Any) -> bool:
    """Puts a cell's value where its column says; False if a value is there where it needs a group, or a group."""
    part = document
    for step in path[:-1]:
        part = part.setdefault(step, {})
        if not isinstance(part, dict):
            return False
    return part.setdefault(path[-1], value) is value


def _checked_header(columns: Sequence[str]) -> list[str]:
    """The header, if each column can be placed in a fact.

    Raises:
        BadInput: with every column that can't.
    """
    if not columns:
        raise BadInput([Problem("line 1", "is no CSV header: it is empty")])
    problems = [Problem(f"column {name}", "is missing") for name in _ATTRIBUTES if name not in columns]
    seen: set[str] = set()
    for column in columns:
        parts = column.split(".")
        if column in seen:
            problems.append(Problem(f"column {column}", "is there twice"))
        elif column not in (*_ATTRIBUTES, "specversion") and (parts[0] != "data" or len(parts) < 2 or "" in parts):
            problems.append(Problem(f"column {column!r}", f"is none of {', '.join(_ATTRIBUTES)}, data.…"))
        seen.add(column)
    if problems:
        raise BadInput([Problem(f"line 1: {where}", what) for where, what in problems])
    return list(columns)
