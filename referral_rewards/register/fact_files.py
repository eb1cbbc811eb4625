"""Files of facts, line by line: JSON Lines, and CSV with dotted columns. Constant memory, whatever the file's size.

A line that can't be taken is told with its number and its problems; the lines after it are read all the same.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from referral_rewards.domain.errors import BadInput, FactInvalid, Problem
from referral_rewards.domain.facts import Event, parse_event

#: Longer lines are refused unread: no fact is that long, and a file without line ends must not fill the memory.
LINE_BYTES_MAX: Final = 1_000_000

_ATTRIBUTES: Final = ("id", "source", "type", "time")
_BOOLEANS: Final = frozenset({"data.consent", "data.new_customer"})
_INTEGERS: Final = frozenset({"data.score"})
_TRUTH: Final[Mapping[str, bool]] = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says: a fact, or the problems why it can't be taken."""

    number: int
    event: Event | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class FactFile:
    """A file of facts: where it is, how long, and the hash of its content that names it when it is taken in again."""

    path: Path
    size: int
    content_hash: str
    _reader: Callable[[BinaryIO], Iterator[Line]]

    @classmethod
    def at(cls, path: Path) -> "FactFile":
        """The file at a path.

        Raises:
            BadInput: if there is none, it can't be read, or its name ends in neither .jsonl nor .csv.
        """
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise BadInput([Problem(str(path), f"is neither {' nor '.join(_READERS)}")])
        try:
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
                return cls(path, opened.tell(), digest, reader)
        except OSError as error:
            raise BadInput([Problem(str(path), (error.strerror or str(error)).lower())]) from None

    def batches(self, size: int) -> Iterator[tuple[list[Line], int]]:
        """The lines of the file in order, ``size`` at a time, each time with the bytes read so far.

        Empty lines are passed over.

        Raises:
            BadInput: if a CSV file's header can't be read.
        """
        with self.path.open("rb") as opened:
            lines = self._reader(opened)
            while batch := list(islice(lines, size)):
                yield batch, self.size if opened.closed else opened.tell()


def read_document(number: int, document: Any) -> Line:
    """The line that a decoded CloudEvent makes."""
    try:
        return Line(number, parse_event(document))
    except FactInvalid as error:
        return Line(number, None, error.problems)


def _bad(number: int, what: str) -> Line:
    return Line(number, None, (Problem("", what),))


def _json_lines(opened: BinaryIO) -> Iterator[Line]:
    for number, raw in enumerate(_raw_lines(opened), start=1):
        if raw is None:
            yield _bad(number, f"is longer than {LINE_BYTES_MAX:,} bytes")
            continue
        text = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
        if text:
            yield _json_line(number, text)


def _json_line(number: int, text: bytes) -> Line:
    try:
        document = json.loads(text.decode())
    except UnicodeDecodeError:
        return _bad(number, "is not UTF-8")
    except (ValueError, RecursionError) as error:
        told = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        return _bad(number, f"is not JSON: {told[:1].lower()}{told[1:]}")
    return read_document(number, document)


def _raw_lines(opened: BinaryIO) -> Iterator[bytes | None]:
    """Each line with its end; None for one that is too long, which is skipped."""
    while raw := opened.readline(LINE_BYTES_MAX + 1):
        if len(raw) <= LINE_BYTES_MAX:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = opened.readline(LINE_BYTES_MAX)
        yield None


def _csv_rows(opened: BinaryIO) -> Iterator[Line]:
    csv.field_size_limit(LINE_BYTES_MAX)
    # What is not UTF-8 comes through as lone surrogates, so that the line it stands in can be named.
    with io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(_bounded(text), strict=True)
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
                yield _bad(number, f"is not CSV: {error}")
                continue
            if any(cells):
                yield _csv_row(number, header, cells)


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a text, none of them longer than a little over the limit: a cell over it is then refused."""
    while line := text.readline(LINE_BYTES_MAX + 1):
        yield line


def _csv_row(number: int, header: Sequence[str], cells: Sequence[str]) -> Line:
    if len(cells) != len(header):
        return _bad(number, f"has {len(cells)} cells where the header has {len(header)}")
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


_READERS: Final[Mapping[str, Callable[[BinaryIO], Iterator[Line]]]] = {".jsonl": _json_lines, ".csv": _csv_rows}
