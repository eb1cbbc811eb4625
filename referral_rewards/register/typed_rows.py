"""Rows as typed values: a frozen dataclass or a `NamedTuple`, filled from the columns of the same names."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from sqlalchemy import Executable, Row
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

#: No parameters.
_NOTHING: Final[Mapping[str, object]] = {}


async def read(
    connection: AsyncConnection, kind: type[T], statement: Executable, asked: Mapping[str, object] = _NOTHING
) -> tuple[T, ...]:
    """Return the rows that a statement finds, as values of ``kind``, in its order."""
    return each_of(kind, await connection.execute(statement, dict(asked)))


async def read_one(
    connection: AsyncConnection, kind: type[T], statement: Executable, asked: Mapping[str, object] = _NOTHING
) -> T | None:
    """Return the one row that a statement finds; None if it finds none.

    Raises:
        MultipleResultsFound: if it finds more than one: that is a bug.
    """
    found = (await connection.execute(statement, dict(asked))).one_or_none()
    return None if found is None else of(kind, found)


def each_of(kind: type[T], rows: Iterable[Row[Any]]) -> tuple[T, ...]:
    """Return rows as values of ``kind``, in their order."""
    return tuple(of(kind, row) for row in rows)


def of(kind: type[T], row: Row[Any], prefix: str = "") -> T:
    """Return a row as a value of ``kind``; the names of its columns may begin with a ``prefix``.

    A column of the type of a `StrEnum` or a tuple is converted to it; every other is taken as the driver read it.

    Raises:
        AttributeError: if the statement does not select a column of that name: that is a bug.
        ValueError: if a column holds no member of its `StrEnum`.
    """
    columns = _columns(cast(Hashable, kind))
    return kind(**{name: _converted(getattr(row, prefix + name), convert) for name, convert in columns})


@cache
def _columns(kind: Hashable) -> tuple[tuple[str, Callable[[Any], object] | None], ...]:
    return tuple((name, _conversion(hint)) for name, hint in get_type_hints(kind).items())


def _converted(value: object, convert: Callable[[Any], object] | None) -> object:
    return value if value is None or convert is None else convert(value)


def _conversion(hint: Any) -> Callable[[Any], object] | None:
    if get_origin(hint) is tuple:
        return tuple
    for each in (hint, *get_args(hint)):
        if isinstance(each, type) and issubclass(each, StrEnum):
            return each
    return None
