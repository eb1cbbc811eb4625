"""How much of what is long or random belongs to the suite: as much as there is time for. `make chaos` does the rest."""

from collections.abc import Collection, Iterable
from typing import TypeVar

import pytest

_T = TypeVar("_T")


def seeds(suite: int, *, of: int) -> list[object]:
    """So many seeds in the suite, of all that there are."""
    return partly(range(of), suite=range(suite))


def partly(values: Iterable[_T], *, suite: Collection[_T]) -> list[object]:
    """These values in the suite, of all that there are."""
    return [pytest.param(each, marks=[] if each in suite else [pytest.mark.chaos], id=_id(each)) for each in values]


def _id(value: object) -> str | None:
    return None if isinstance(value, str | int) else str(value)
