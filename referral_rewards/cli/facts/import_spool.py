"""What an import keeps on disk until it is over: its facts, and of each row what it came to.

So the facts go to the API as one file, whose referrals are woken together at its end, and the report can say of each
row what became of its facts, with no more memory for a million rows than for one.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path
from typing import Any, Final, NamedTuple

from referral_rewards.cli.facts.ingest import FactFile
from referral_rewards.domain.facts.file_forms import FileForm
from referral_rewards.domain.imports.becoming import Became

_NUMBER_BYTES: Final = 8


class RowResult(NamedTuple):
    """One row of the report: its line, the tool's id of it, what it became, how many facts it is, and why."""

    line: int
    row: str
    became: Became
    facts: int
    why: str


@dataclass(slots=True)
class Spool:
    """The facts and results of an import, in files of a folder that is deleted at its end."""

    folder: Path
    facts: int = 0
    _facts: BufferedRandom = field(init=False)
    _lines: BufferedRandom = field(init=False)
    _results: BufferedRandom = field(init=False)

    def __post_init__(self) -> None:
        self._facts = (self.folder / "facts.jsonl").open("w+b")
        self._lines = (self.folder / "lines").open("w+b")
        self._results = (self.folder / "results.jsonl").open("w+b")

    def add(self, result: RowResult, documents: Sequence[dict[str, Any]] = ()) -> None:
        """Keeps what a row came to, and its facts."""
        for document in documents:
            self._facts.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
            self._lines.write(result.line.to_bytes(_NUMBER_BYTES, "big"))
        self.facts += len(documents)
        self._results.write(json.dumps(result).encode() + b"\n")

    def results(self) -> Iterator[RowResult]:
        """What each row came to, in their order."""
        self._results.seek(0)
        for line in self._results:
            number, row, became, facts, why = json.loads(line)
            yield RowResult(number, row, Became(became), facts, why)

    def row_line(self, fact: int) -> int:
        """The line of the row that the fact in this line of the facts was made of."""
        self._lines.seek((fact - 1) * _NUMBER_BYTES)
        return int.from_bytes(self._lines.read(_NUMBER_BYTES), "big")

    def fact_file(self, name: str) -> FactFile:
        """The facts, to be sent."""
        self._facts.flush()
        self._facts.seek(0)
        digest = hashlib.file_digest(self._facts, "sha256").hexdigest()
        return FactFile(self.folder / "facts.jsonl", name, FileForm.LINES, digest, self._facts.seek(0, 2))

    def close(self) -> None:
        """Closes its files."""
        for each in (self._facts, self._lines, self._results):
            each.close()


@contextmanager
def spool() -> Iterator[Spool]:
    """A spool that is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="referrals-import-") as folder:
        kept = Spool(Path(folder))
        try:
            yield kept
        finally:
            kept.close()
