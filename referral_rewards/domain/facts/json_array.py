"""Facts as one JSON document: an array of CloudEvents, or a few one after the other. Read in constant memory."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from referral_rewards.domain.errors import uncapitalized
from referral_rewards.domain.facts.jsonl import LINE_BYTES_MAX, Line, bad_line, read_document

_PIECE_BYTES: Final = 65_536
_SPACE: Final = " \t\r\n"
_UNDECIDED: Final = object()


def json_array(opened: BinaryIO) -> Iterator[Line]:
    """The events of a document, numbered from 1. What is no JSON ends it: nothing after that can be told apart."""
    text = _Text(opened)
    number = 0
    try:
        in_array = text.next_is("[")
        while not (text.next_is("]") if in_array else text.ended()):
            number += 1
            if number > 1 and in_array and not text.next_is(","):
                raise ValueError("a comma between two events is missing")
            yield read_document(number, text.value())
        if not text.ended():
            raise ValueError("there is more after the end of the array")
    except UnicodeDecodeError:
        yield bad_line(number or 1, "is not UTF-8; nothing from here on was read")
    except (ValueError, RecursionError) as error:
        told = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        yield bad_line(number or 1, f"is not JSON: {uncapitalized(told)}; nothing from here on was read")


class _Text:
    """The text of a file, of which no more is held than the value that is being read."""

    def __init__(self, opened: BinaryIO) -> None:
        self._opened = opened
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._whole = "", 0, False

    def next_is(self, wanted: str) -> bool:
        """Whether that character comes next, and steps over it."""
        if self._peek() != wanted:
            return False
        self._at += 1
        return True

    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._peek() == ""

    def value(self) -> Any:
        """The next value.

        Raises:
            ValueError: if what comes is none, or is longer than a fact can be.
        """
        self._peek()
        while (found := self._decoded()) is _UNDECIDED:
            self._read()
        return found

    def _decoded(self) -> Any:
        """The value, or that more must be read to know it: a number that ends here may go on."""
        try:
            value, end = self._decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError:
            if self._whole:
                raise
            if len(self._text) - self._at > LINE_BYTES_MAX:
                raise ValueError(f"an event is broken, or longer than {LINE_BYTES_MAX:,} characters") from None
            return _UNDECIDED
        if end == len(self._text) and not self._whole:
            return _UNDECIDED
        self._at = end
        return value

    def _peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._whole:
                return ""
            self._read()

    def _read(self) -> None:
        piece = self._opened.read(_PIECE_BYTES)
        self._whole = not piece
        self._text = self._text[self._at :] + self._decode(piece, final=self._whole)
        self._at = 0
