"""Lists of any length that an answer will have, kept until it is sent: in memory up to a limit, then in a file."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Final

from referral_rewards.domain.errors import Problem
from referral_rewards.domain.facts.outcomes import LineRun

_IN_MEMORY_BYTES: Final = 1_000_000
#: How many objects are sent in one piece.
_AT_ONCE: Final = 200


class _Kept:
    """Objects of JSON, in the order in which they came."""

    def __init__(self) -> None:
        self._kept: IO[str] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (`close` closes it)
            max_size=_IN_MEMORY_BYTES, mode="w+", encoding="utf-8", errors="backslashreplace"
        )

    def _keep(self, each: Mapping[str, object]) -> None:
        self._kept.write(json.dumps(each) + "\n")

    def texts(self) -> Iterator[str]:
        """Yield each as JSON, in the order in which they came."""
        self._kept.seek(0)
        for text in self._kept:
            yield text.rstrip("\n")

    def listed(self) -> Iterator[str]:
        """Yield all of them as one JSON array, in pieces."""
        texts, between = self.texts(), ""
        yield "["
        while piece := ",".join(islice(texts, _AT_ONCE)):
            yield between + piece
            between = ","
        yield "]"

    def close(self) -> None:
        self._kept.close()


class ProblemsKept(_Kept):
    """The problems of a file's lines."""

    def add(self, line: int, problem: Problem) -> None:
        self._keep({"line": line, **problem._asdict()})

    def as_input(self, counted: str) -> list[Problem]:
        """As problems of an input, which name the line, or what else is counted."""
        found = []
        for each in map(json.loads, self.texts()):
            place = ": ".join(filter(None, (f"{counted} {each['line']}", each["where"])))
            found.append(Problem(place, each["what"]))
        return found


class LinesKept(_Kept):
    """What became of a file's lines: runs of one outcome, also across the batches in which they are stored."""

    _open: LineRun | None = None

    def add(self, run: LineRun) -> None:
        if self._open is not None and self._open.outcome is run.outcome:
            self._open = self._open._replace(last=run.last)
            return
        self._close_run()
        self._open = run

    def listed(self) -> Iterator[str]:
        self._close_run()
        return super().listed()

    def _close_run(self) -> None:
        if self._open is not None:
            self._keep(self._open._asdict())
        self._open = None
