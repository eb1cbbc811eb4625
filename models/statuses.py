"""Statuses in SQL: a statement names a set of statuses, and the domain defines its members once."""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ARRAY, BindParameter, String, TextClause, bindparam, text

#: One status or a set of statuses.
Statuses = str | Collection[str]
_NAME: Final = re.compile(r"(?<!:):(\w+)")


def statement(sql: str, **statuses: Statuses) -> TextClause:
    """Return a statement with statuses bound as parameters: one in `state = :settled`, a set in
    `state = ANY(:standing)`."""
    return text(sql).bindparams(*(_bound(name, value) for name, value in statuses.items()))


def spelled(sql: str, **statuses: Statuses) -> str:
    """Return SQL with statuses written as literals: one in `state = :settled`, a set in `state IN :standing`.

    PostgreSQL may plan a prepared statement once for all values of its parameters. Such a plan cannot use a partial
    index (`WHERE state IN (…)`) and does not know how few rows have the status. Use this where that matters, and to
    define such an index. Every other name in the SQL stays a parameter.
    """
    missing = statuses.keys() - {found[1] for found in _NAME.finditer(sql)}
    if missing:
        raise ValueError(f"the statement does not name {', '.join(sorted(missing))}")
    return _NAME.sub(lambda found: _literal(statuses[found[1]]) if found[1] in statuses else found[0], sql)


def _bound(name: str, value: Statuses) -> BindParameter[Any]:
    if isinstance(value, str):
        return bindparam(name, str(value), type_=String())
    return bindparam(name, _in_order(value), type_=ARRAY(String()))


def _literal(value: Statuses) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return f"({', '.join(_literal(each) for each in _in_order(value))})"


def _in_order(values: Collection[str]) -> list[str]:
    """Return a set as a list in the same order in every process: the order of its enumeration, else alphabetical."""
    places = {each: place for kind in {type(value) for value in values} for place, each in enumerate(_members(kind))}
    return [str(value) for value in sorted(values, key=lambda value: (places.get(value, 0), value))]


def _members(kind: type[str]) -> list[str]:
    return list(kind) if issubclass(kind, StrEnum) else []
