"""How code gets to the database: one engine a process, one short transaction a piece of work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

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


class Database:
    """Hands out transactions. Given to whoever needs one; nobody builds an engine of their own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def at(cls, database_url: str, *, pool_size: int = 5, patience_seconds: float = 30) -> "Database":
        return cls(engine(database_url, pool_size=pool_size, patience_seconds=patience_seconds))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end of the block and rolls back on any exception."""
        async with self._engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()
