"""How code gets to the database: one engine a process, one short transaction a piece of work."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: The database did not answer: whether it carried out what it was told is not known.
NO_ANSWER: Final = (OperationalError, InterfaceError)
#: It can't be reached, or has no connection left for us either: the same may succeed later. Whatever else it raises, a
#: violated constraint above all, is a mistake of ours.
UNREACHABLE: Final = (*NO_ANSWER, PoolTimeout, OSError)


def engine(database_url: str, *, pool_size: int = 5, patience_seconds: float = 30) -> AsyncEngine:
    """An engine over psycopg 3. Connections are checked before use: a restarted server costs a retry, not an error.
    Whoever finds all of them in use waits for one, ``patience_seconds`` at most."""
    return create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=patience_seconds,
        pool_pre_ping=True,
        hide_parameters=True,  # a statement's values are people's; no error or log line repeats them
        connect_args={"prepare_threshold": 3},
    )


class Unit:
    """A unit of work: what its transaction has asked of the database, and what is left to do before it commits."""

    def __init__(self) -> None:
        self.statements: set[str] = set()
        self._last: dict[Hashable, Callable[[AsyncConnection], Awaitable[None]]] = {}

    @classmethod
    def of(cls, connection: AsyncConnection) -> "Unit":
        """The unit that a connection is used in.

        Raises:
            RuntimeError: if it was not handed out by a `Database`.
        """
        unit = connection.info.get(_UNIT)
        if not isinstance(unit, cls):
            raise RuntimeError("this is no transaction of a Database, which would do at its end what is left to do")
        return unit

    def before_commit(self, key: Hashable, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Has work done at the end of the transaction; what was asked for under one key is done once."""
        self._last.setdefault(key, work)

    async def finish(self, connection: AsyncConnection) -> None:
        """Does what is left to do, in the order in which it was asked for."""
        for work in self._last.values():
            await work(connection)


class Database:
    """Hands out transactions. Given to whoever needs one; nobody builds an engine of their own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        if not event.contains(engine.sync_engine, "after_cursor_execute", _note):
            event.listen(engine.sync_engine, "after_cursor_execute", _note)

    @classmethod
    def at(cls, database_url: str, *, pool_size: int = 5, patience_seconds: float = 30) -> "Database":
        return cls(engine(database_url, pool_size=pool_size, patience_seconds=patience_seconds))

    def apart(self) -> "Database":
        """The same database by a connection of its own: for work on another event loop, or that nobody waits behind."""
        return Database.at(self._engine.url.render_as_string(hide_password=False), pool_size=1)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end of the block, once all that was left for it is done (`Unit`), and rolls
        back on any exception."""
        async with self._engine.begin() as connection:
            unit = connection.info[_UNIT] = Unit()
            try:
                yield connection
                await unit.finish(connection)
            finally:
                # The connection is given to the next transaction.
                connection.info.pop(_UNIT, None)

    async def close(self) -> None:
        await self._engine.dispose()


_UNIT: Final = "unit of work"


def _note(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    unit = connection.info.get(_UNIT)
    if unit is not None:
        unit.statements.add(statement)
