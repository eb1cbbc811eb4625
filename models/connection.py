"""A connection that hands the statements of this product straight to the driver.

Most of what a short statement costs in SQLAlchemy is no work on it: a greenlet, an event, a description of each column.
A `text` needs nothing of that. It is turned once into what PostgreSQL reads, and psycopg sends it, in the transaction
that SQLAlchemy opened and ends. What it finds is a `Result` of SQLAlchemy, and its errors are SQLAlchemy's too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from psycopg import AsyncRawCursor
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import CursorResult, Dialect, Executable, IteratorResult, TextClause
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from models.unit import UNIT


class Connection(AsyncConnection):
    """A connection of a `Database`. Only `execute` differs, and only in what it costs."""

    async def execute(
        self, statement: Executable, parameters: Any = None, *, execution_options: Any = None
    ) -> CursorResult[Any]:
        """Execute a statement and return all its rows.

        A text with one set of values goes to psycopg itself. All else goes through SQLAlchemy, and so does a text while
        somebody listens to the engine's cursors, as tests do.
        """
        own = isinstance(statement, TextClause) and not isinstance(parameters, list) and not execution_options
        listened_to = bool(self.sync_engine.dispatch.before_cursor_execute)
        sent = _sent(statement, self.dialect) if own and not listened_to else None
        if sent is None:
            return await super().execute(statement, parameters, execution_options=execution_options)
        return await self._send(sent, parameters or _NOTHING)  # type: ignore[return-value]

    async def _send(self, sent: "_Sent", given: Mapping[str, object]) -> "_Rows":
        assert self.sync_connection is not None
        cursor: AsyncRawCursor[Any] = AsyncRawCursor(self.sync_connection.connection.driver_connection)  # type: ignore[arg-type]
        try:
            await cursor.execute(sent.sql, sent.values(given))
            rows = await cursor.fetchall() if cursor.rownumber is not None else ()
        except BaseException as error:
            await greenlet_spawn(_handle, self.sync_connection, error, sent.sql)
            raise
        unit = self.sync_connection.info.get(UNIT)
        if unit is not None:
            unit.statements.add(sent.sql)
        return _Rows(cursor, rows)


def _handle(connection: SyncConnection, error: BaseException, sql: str) -> None:
    """Have SQLAlchemy raise the error as its own, and give up a connection that broke or was left in a statement."""
    try:
        raise error
    except BaseException as raised:
        connection._handle_dbapi_exception(raised, sql, None, None, None)


class _Rows(IteratorResult[Any]):
    """All rows that a statement found."""

    def __init__(self, cursor: AsyncRawCursor[Any], rows: Sequence[Any]) -> None:
        found = cursor.pgresult
        names = tuple(found.fname(place) for place in range(found.nfields)) if found is not None else ()
        super().__init__(_columns(names), iter(rows))
        self.returns_rows = bool(names)
        self.rowcount = cursor.rowcount


@dataclass(frozen=True, slots=True)
class _Sent:
    """A text as PostgreSQL reads it (`$1`), the names of its parameters by their numbers, and the values that it
    brings."""

    sql: str
    names: tuple[str, ...]
    brought: Mapping[str, object]

    def values(self, given: Mapping[str, object]) -> list[object]:
        return [given[name] if name in given else self.brought[name] for name in self.names]


_texts: Final[WeakKeyDictionary[TextClause, _Sent | None]] = WeakKeyDictionary()


def _sent(statement: Any, dialect: Dialect) -> _Sent | None:
    """Return what is sent of a text; None if SQLAlchemy has to convert values for it."""
    if statement not in _texts:
        _texts[statement] = _translated(statement, dialect)
    return _texts[statement]


def _translated(statement: TextClause, dialect: Dialect) -> _Sent | None:
    compiled = statement.compile(dialect=dialect)
    binds: Mapping[str, Any] = compiled.binds
    if any(bind.required and _converts(bind.type, dialect) for bind in binds.values()):
        return None
    names = tuple(dict.fromkeys(_PARAMETER.findall(compiled.string)))
    numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
    sql = _PARAMETER.sub(lambda found: numbers[found[1]], compiled.string).replace("%%", "%")
    return _Sent(sql, names, {name: bind.value for name, bind in binds.items() if not bind.required})


def _converts(kind: TypeEngine[Any], dialect: Dialect) -> bool:
    """Return whether SQLAlchemy converts values of a type before the driver has them, as it does documents."""
    return kind.dialect_impl(dialect).bind_processor(dialect) is not None


@cache
def _columns(names: tuple[bytes, ...]) -> SimpleResultMetaData:
    return SimpleResultMetaData([name.decode() for name in names])


_NOTHING: Final[Mapping[str, object]] = {}
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
