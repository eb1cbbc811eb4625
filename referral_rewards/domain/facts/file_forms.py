"""What a file of facts is, told by its first bytes: JSON Lines, a JSON array or CSV; anything else is told by name."""

import codecs
from enum import StrEnum
from typing import Final

from referral_rewards.domain.errors import BadInput, Problem

#: As many bytes of a file as are looked at.
HEAD_BYTES: Final = 65_536

_UTF8_MARK: Final = codecs.BOM_UTF8
#: Longer marks first: UTF-32's little-endian one begins with UTF-16's.
_OTHER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_BINARY: Final = (
    (b"PK\x03\x04", "is a workbook or another zip archive, not text; save the sheet as “CSV UTF-8 (comma delimited)”"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook, not text; save the sheet as “CSV UTF-8 (comma delimited)”"),
    (b"\x1f\x8b", "is compressed; unpack it on the way: gunzip -c FILE | referrals ingest -"),
    (b"(\xb5/\xfd", "is compressed; unpack it on the way: zstd -dc FILE | referrals ingest -"),
    (b"BZh", "is compressed; unpack it on the way: bunzip2 -c FILE | referrals ingest -"),
)
_WANTED: Final = "JSON Lines, a JSON array or CSV in UTF-8 is wanted"


class FileForm(StrEnum):
    """How a file of facts is written, and how its name ends."""

    LINES = ".jsonl"
    ARRAY = ".json"
    CSV = ".csv"

    @property
    def counted(self) -> str:
        """What a problem in it is counted by."""
        return "event" if self is FileForm.ARRAY else "line"


def form_of(head: bytes, name: str, suffix: str = "") -> FileForm:
    """The form of the file that begins with these bytes; ``suffix`` is how its name ends, "" where it has no name.

    Raises:
        BadInput: if no facts can be read from it; the one problem says what it is and what would be right.
    """
    if suffix and suffix not in _SUFFIXES:
        raise _refused(name, f"ends in none of {', '.join(_SUFFIXES)}")
    if what := not_text(head):
        raise _refused(name, what)
    first = head.removeprefix(_UTF8_MARK).lstrip()[:1]
    form = _SUFFIXES.get(suffix) or (FileForm.LINES if first == b"{" else FileForm.CSV)
    if first == b"[":
        return FileForm.ARRAY
    if form is FileForm.CSV:
        _hold_separated_by_commas(head, name)
    return form


_SUFFIXES: Final = {
    ".jsonl": FileForm.LINES,
    ".ndjson": FileForm.LINES,
    ".json": FileForm.ARRAY,
    ".csv": FileForm.CSV,
}


def not_text(head: bytes) -> str | None:
    """Return what is wrong with the first bytes of a file if they are no UTF-8 text, else None."""
    for mark, encoding in _OTHER_MARKS:
        if head.startswith(mark):
            return _other_encoding(encoding)
    for magic, what in _BINARY:
        if head.startswith(magic):
            return what
    nul = head.count(0)
    if not nul:
        return None
    # Text of the first 256 characters in two bytes each has every other byte empty; nothing else has so many.
    return _other_encoding("UTF-16") if nul * 5 >= len(head) * 2 else f"is a binary file, not text; {_WANTED}"


def _other_encoding(encoding: str) -> str:
    return f"is text in {encoding}; save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)"


def _hold_separated_by_commas(head: bytes, name: str) -> None:
    heading = head.removeprefix(_UTF8_MARK).split(b"\n", 1)[0]
    for separator, called in ((b";", "semicolons"), (b"\t", "tabs"), (b"|", "bars")):
        if separator in heading and b"," not in heading:
            raise _refused(
                name, f"line 1: the columns are separated by {called}; separate them by commas: id,source,type,time,…"
            )


def _refused(name: str, what: str) -> BadInput:
    return BadInput([Problem(name, what)])
