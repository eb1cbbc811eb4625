"""Statuses in SQL: a statement names a set of them, and which are in it stands in the domain, once."""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ARRAY, BindParameter, String, TextClause, bindparam, text

#: One status, or a set of them.
Statuses = str | Collection[str]
_NAME: Final = re.compile(r"(?<!:):(\w+)")


def statement(sql: str, **statuses: Statuses) -> TextClause:
    """A statement with statuses as parameters of it: `state = :settled` of one, `state = ANY(:standing)` of a set."""
    return text(sql).bindparams(*(_bound(name, value) for name, value in statuses.items()))


def spelled(sql: str, **statuses: Statuses) -> str:
    """SQL with statuses written out where it names them: `state = :settled` of one, `state IN :standing` of a set.

    PostgreSQL plans a prepared statement once for any value of its parameters, and then neither uses an index on some
    of the rows (`WHERE state IN (…)`) nor knows how few rows have the status. Where that counts, this is for it; and
    for the definition of such an index. Every other name in the SQL stays a parameter.
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
    """A set as a list that is the same in every process: in the order of their enumeration, else of their letters."""
    places = {each: place for kind in {type(value) for value in values} for place, each in enumerate(_members(kind))}
    return [str(value) for value in sorted(values, key=lambda value: (places.get(value, 0), value))]


def _members(kind: type[str]) -> list[str]:
    return list(kind) if issubclass(kind, StrEnum) else []
