"""Reads as much of PromQL as our alerts and panels use, and refuses the rest: which series an expression speaks of.

promtool reads all of it, and the suite asks it where it is installed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<number>\d+(?:\.\d+)?)(?![\w:])|(?P<duration>\d+[smhd])|(?P<name>[A-Za-z_:][\w:]*)|(?P<text>"[^"]*")'
    r"|(?P<sign>==|!=|>=|<=|=~|!~|[-+*/><=(){}\[\],]))"
)
_AGGREGATIONS: Final = frozenset({"sum", "max", "min", "avg", "count"})
#: Functions, and whether each reads a range.
_FUNCTIONS: Final = {
    "rate": True,
    "increase": True,
    "histogram_quantile": False,
    "absent": False,
    "vector": False,
    "time": False,
}
_BINARY: Final = (("or",), ("and", "unless"), ("==", "!=", ">", "<", ">=", "<="), ("+", "-"), ("*", "/"))


@dataclass(frozen=True)
class Selector:
    """One metric with what it asks of its labels: (operator, value) by name. ``grouped`` are labels that an aggregation
    around it keeps."""

    name: str
    matchers: dict[str, tuple[str, str]]
    grouped: frozenset[str] = frozenset()


def selectors(expression: str) -> list[Selector]:
    """Return the series that an expression reads.

    Raises:
        ValueError: where it can't be read.
    """
    reader = _Reader(expression)
    found = list(reader.binary(0, frozenset()))
    reader.need(None)
    return found


class _Reader:
    def __init__(self, expression: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while expression[place:].strip():
            found = _TOKEN.match(expression, place)
            if found is None:
                raise ValueError(f"can't be read from here: {expression[place:]}")
            assert found.lastgroup is not None
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()

    def _next(self) -> str | None:
        return self._tokens[0][1] if self._tokens else None

    def _take(self, kind: str | None = None) -> str:
        if not self._tokens or kind not in (None, self._tokens[0][0]):
            raise ValueError(f"{self._next()} stands where {kind or 'more'} should")
        return self._tokens.pop(0)[1]

    def need(self, wanted: str | None) -> None:
        if self._next() != wanted:
            raise ValueError(f"{self._next()} stands where {wanted or 'the end'} should")
        if wanted is not None:
            self._take()

    def binary(self, level: int, grouped: frozenset[str]) -> Iterator[Selector]:
        if level == len(_BINARY):
            yield from self._operand(grouped)
            return
        yield from self.binary(level + 1, grouped)
        while self._next() in _BINARY[level]:
            self._take()
            yield from self.binary(level + 1, grouped)

    def _operand(self, grouped: frozenset[str]) -> Iterator[Selector]:
        if self._next() == "(":
            self._take()
            yield from self.binary(0, grouped)
            self.need(")")
        elif self._tokens and self._tokens[0][0] == "number":
            self._take()
        elif self._next() in _AGGREGATIONS:
            self._take()
            kept = frozenset(self._labels()) if self._next() == "by" else frozenset()
            self.need("(")
            yield from self.binary(0, grouped | kept)
            self.need(")")
        elif self._next() in _FUNCTIONS:
            yield from self._function(grouped)
        else:
            yield self._selector(grouped, ranged=False)

    def _labels(self) -> Iterator[str]:
        self._take()
        self.need("(")
        yield self._take("name")
        while self._next() == ",":
            self._take()
            yield self._take("name")
        self.need(")")

    def _function(self, grouped: frozenset[str]) -> Iterator[Selector]:
        ranged = _FUNCTIONS[self._take()]
        self.need("(")
        if ranged:
            yield self._selector(grouped, ranged=True)
        elif self._next() != ")":
            yield from self.binary(0, grouped)
            while self._next() == ",":
                self._take()
                yield from self.binary(0, grouped)
        self.need(")")

    def _selector(self, grouped: frozenset[str], *, ranged: bool) -> Selector:
        name, matchers = self._take("name"), {}
        if self._next() == "{":
            self._take()
            while self._next() != "}":
                label, operator, value = self._take("name"), self._take("sign"), self._take("text")
                matchers[label] = (operator, value.strip('"'))
                if self._next() == ",":
                    self._take()
            self._take()
        if ranged:
            self.need("[")
            self._take("duration")
            self.need("]")
        if self._next() == "offset":
            self._take()
            self._take("duration")
        return Selector(name, matchers, grouped)
