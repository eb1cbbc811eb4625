"""Reads the package's own source: the texts that it holds, docstrings apart."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("referral_rewards", "activities", "workflows", "worker", "models")


class Text(NamedTuple):
    """A string of the source, or what of a composed one stands there as it is."""

    path: str
    line: int
    value: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {' '.join(self.value.split())[:160]}"


@cache
def modules() -> Sequence[tuple[str, ast.Module]]:
    """Every module of the package by its path, except the migrations: those say what was, and never change. They are
    read once a session, and for reading only."""
    return tuple(_parsed())


def _parsed() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("models/migrations/"):
                yield name, ast.parse(path.read_text())


def texts(path: str, tree: ast.Module) -> Iterator[Text]:
    """The texts of a module that are no docstrings."""
    said = {id(text) for text in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield Text(path, node.lineno, node.value)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
