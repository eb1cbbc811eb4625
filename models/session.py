"""Access to the database: one engine per process, one short transaction per unit of work."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: The database did not answer. Whether it executed the statement is unknown.
NO_ANSWER: Final = (OperationalError, InterfaceError)
#: The database cannot be reached, or no connection is free; a retry may succeed. Any other database error, such as a
#: violated constraint, is a bug.
UNREACHABLE: Final = (*NO_ANSWER, PoolTimeout, OSError)


def engine(database_url: str, *, pool_size: int = 5, patience_seconds: float = 30) -> AsyncEngine:
    """Return an engine over psycopg 3. Connections are checked before use, so a restarted server causes no error.
    When all connections are in use, a caller waits up to ``patience_seconds`` for one."""
    return create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=patience_seconds,
        pool_pre_ping=True,
        hide_parameters=True,  # parameters hold personal data and must not appear in errors or logs
        connect_args={"prepare_threshold": 3},
    )


class Unit:
    """A unit of work: the statements its transaction has run, and the work to do before it commits.

    ``notes`` are what one step of the transaction leaves for that work.
    """

    def __init__(self) -> None:
        self.statements: set[str] = set()
        self.notes: dict[Hashable, object] = {}
        self._last: dict[Hashable, Callable[[AsyncConnection], Awaitable[None]]] = {}

    @classmethod
    def of(cls, connection: AsyncConnection) -> "Unit":
        """Return the unit of work of a connection.

        Raises:
            RuntimeError: if the connection does not come from `Database.transaction`.
        """
        unit = connection.info.get(_UNIT)
        if not isinstance(unit, cls):
            raise RuntimeError("this is no transaction of a Database, which would do at its end what is left to do")
        return unit

    def before_commit(self, key: Hashable, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Run ``work`` at the end of the transaction. Only the first work registered under a key is run."""
        self._last.setdefault(key, work)

    async def finish(self, connection: AsyncConnection) -> None:
        """Run the registered work, in the order of registration."""
        for work in self._last.values():
            await work(connection)


class Database:
    """Provides transactions. It is passed to all code that needs one; no other code creates an engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        #: Counts the connections opened so far.
        self.connections_opened = 0
        event.listen(engine.sync_engine, "connect", self._count)
        if not event.contains(engine.sync_engine, "after_cursor_execute", _note):
            event.listen(engine.sync_engine, "after_cursor_execute", _note)

    @classmethod
    def at(cls, database_url: str, *, pool_size: int = 5, patience_seconds: float = 30) -> "Database":
        return cls(engine(database_url, pool_size=pool_size, patience_seconds=patience_seconds))

    def apart(self) -> "Database":
        """Return the same database with its own connection: for another event loop, or for work that must not hold a
        pooled connection."""
        return Database.at(self._engine.url.render_as_string(hide_password=False), pool_size=1)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction. At the end of the block it runs the registered work (`Unit`) and commits; on any
        exception it rolls back."""
        async with self._engine.begin() as connection:
            # Held here: a connection that broke refuses to be asked for it, and would hide the error that broke it.
            info = connection.info
            unit = info[_UNIT] = Unit()
            try:
                yield connection
                await unit.finish(connection)
            finally:
                # The pool reuses the connection for another transaction.
                info.pop(_UNIT, None)

    def _count(self, *_: Any) -> None:
        self.connections_opened += 1

    async def close(self) -> None:
        await self._engine.dispose()


_UNIT: Final = "unit of work"


def _note(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    unit = connection.info.get(_UNIT)
    if unit is not None:
        unit.statements.add(statement)
