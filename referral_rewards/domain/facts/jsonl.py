"""Facts as JSON Lines: one CloudEvent a line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from pydantic_core import from_json

from referral_rewards.domain.errors import FactInvalid, Problem, uncapitalized
from referral_rewards.domain.facts.events import Event, parse_event

#: Longer lines are refused unread: no fact is that long, and a file without line ends must not fill the memory.
LINE_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says: a fact, or the problems why it can't be taken."""

    number: int
    event: Event | None
    problems: tuple[Problem, ...] = ()


def json_lines(opened: BinaryIO) -> Iterator[Line]:
    """The lines of a file that hold anything."""
    for number, raw in enumerate(_raw_lines(opened), start=1):
        if raw is None:
            yield bad_line(number, f"is longer than {LINE_BYTES_MAX:,} bytes")
            continue
        text = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
        if text:
            yield _json_line(number, text)


def decoded(text: bytes) -> Any:
    """Return what a JSON text says, read as `json.loads` reads it, in half the time.

    Raises:
        UnicodeDecodeError: if it is not UTF-8.
        ValueError: if it is not JSON.
        RecursionError: if it is nested too deeply.
    """
    try:
        # Values are personal data: only the names of fields may stay in pydantic's memory of what it has read.
        return from_json(text, cache_strings="keys")
    except ValueError:
        # It refuses some of what Python reads, and says in other words than Python's where a text breaks off.
        return json.loads(text.decode())


def read_document(number: int, document: Any) -> Line:
    """The line that a decoded CloudEvent makes."""
    try:
        return Line(number, parse_event(document))
    except FactInvalid as error:
        return Line(number, None, error.problems)


def bad_line(number: int, what: str) -> Line:
    """A line that can't be taken."""
    return Line(number, None, (Problem("", what),))


def _json_line(number: int, text: bytes) -> Line:
    try:
        document = decoded(text)
    except UnicodeDecodeError:
        return bad_line(number, "is not UTF-8")
    except (ValueError, RecursionError) as error:
        told = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        return bad_line(number, f"is not JSON: {uncapitalized(told)}")
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
