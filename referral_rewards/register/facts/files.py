"""Files of facts, line by line: JSON Lines, and CSV with dotted columns. Constant memory, whatever the file's size.

A line that can't be taken is told with its number and its problems; the lines after it are read all the same.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from referral_rewards.domain.errors import BadInput, Problem, uncapitalized
from referral_rewards.domain.facts.csv_rows import csv_rows
from referral_rewards.domain.facts.jsonl import Line, json_lines


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
            raise BadInput([Problem(str(path), uncapitalized(error.strerror or str(error)))]) from None

    @property
    def name(self) -> str:
        """The hash of its content."""
        return self.content_hash

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


_READERS: Final[Mapping[str, Callable[[BinaryIO], Iterator[Line]]]] = {".jsonl": json_lines, ".csv": csv_rows}
