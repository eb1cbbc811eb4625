"""Access to the database: one engine per process, one short transaction per unit of work.

Two doors lead to it. `Database.reading` opens a transaction in which PostgreSQL refuses to write. `Database.write` does
a piece of work in a transaction and repeats it, if PostgreSQL asks for that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from models.checkout import check_before_use
from models.connection import Connection
from models.unit import UNIT, Unit
from referral_rewards.personal import KEYS, PersonalKeys

#: The database did not answer. Whether it executed the statement is unknown.
NO_ANSWER: Final = (OperationalError, InterfaceError)
#: The database cannot be reached, or no connection is free; a retry may succeed. Any other database error, such as a
#: violated constraint, is a bug.
UNREACHABLE: Final = (*NO_ANSWER, PoolTimeout, OSError)

#: deadlock_detected and serialization_failure: PostgreSQL took the transaction back, and a repetition succeeds.
_REPEATABLE: Final = frozenset({"40P01", "40001"})
_ATTEMPTS: Final = 8
#: A connection prepares a statement once it has sent it so many times.
_USED_BEFORE_PREPARED: Final = 3
#: How soon it is found out that nobody answers any more, as behind a firewall that drops all: else a connection would
#: hang for a quarter of an hour, and an activity with it. The database's URL may say otherwise.
_SILENCE: Final = {
    "connect_timeout": 15,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_PLANNED_ONCE: Final = "-c plan_cache_mode=force_generic_plan"
_FIRST_PAUSE_SECONDS: Final = 0.02
#: Read by the default of `outbox.trace`, and forgotten at the end of the transaction.
_TRACE: Final = text("SELECT set_config('referrals.trace', :trace, true)")

#: Returns the trace that is under way, as W3C's traceparent; None without one.
TracedBy = Callable[[], str | None]
#: The keys of a database that was opened without: personal data is neither written nor read.
NO_KEYS: Final = PersonalKeys(())

T = TypeVar("T")
P = ParamSpec("P")


class BeginAgain(Exception):
    """The work found that it must begin again in a moment, in another transaction."""


def asks_to_repeat(error: Exception) -> bool:
    """Return whether the transaction that ended with this error is to be repeated as a whole."""
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) in _REPEATABLE
    return isinstance(error, BeginAgain)


def engine(
    database_url: str,
    *,
    pool_size: int = 5,
    patience_seconds: float = 30,
    planned_once: bool = False,
    pooled: bool = False,
) -> AsyncEngine:
    """Return an engine over psycopg 3. Connections are checked before use, so a restarted server causes no error.
    When all connections are in use, a caller waits up to ``patience_seconds`` for one.

    ``planned_once`` is for the steps of judging and paying: each connection plans a statement once for all values.
    Planning their large statements anew costs PostgreSQL more than carrying them out. Whatever pages through a table
    must be planned for its values.

    ``pooled`` says that a pooler hands each transaction another session of PostgreSQL (`pooler`). Then no statement is
    prepared, so none is planned once.
    """
    said = make_url(database_url).query
    silence = {name: value for name, value in _SILENCE.items() if name not in said}
    opened = create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=patience_seconds,
        pool_use_lifo=True,  # the connections in use are those whose statements are prepared
        hide_parameters=True,  # parameters hold personal data and must not appear in errors or logs
        connect_args={**silence, **_connect_args(planned_once=planned_once, pooled=pooled)},
    )
    check_before_use(opened.sync_engine.pool, opened.dialect)
    return opened


def _connect_args(*, planned_once: bool, pooled: bool) -> dict[str, object]:
    if pooled:
        return {"prepare_threshold": None}
    return {"prepare_threshold": _USED_BEFORE_PREPARED, **({"options": _PLANNED_ONCE} if planned_once else {})}


class Database:
    """Provides transactions. It is passed to all code that needs one; no other code creates an engine."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        personal: PersonalKeys | None = None,
        traced_by: TracedBy | None = None,
        pooled: bool = False,
    ) -> None:
        self._engine = engine
        self._personal = personal or NO_KEYS
        self._pooled = pooled
        self._traced_by = traced_by
        self._reading = engine.execution_options(postgresql_readonly=True)
        #: Counts the connections opened so far.
        self.connections_opened = 0
        event.listen(engine.sync_engine, "connect", self._count)
        if not event.contains(engine.sync_engine, "after_cursor_execute", _note):
            event.listen(engine.sync_engine, "after_cursor_execute", _note)

    @classmethod
    def at(
        cls,
        database_url: str,
        *,
        pool_size: int = 5,
        patience_seconds: float = 30,
        planned_once: bool = False,
        pooled: bool = False,
        personal: PersonalKeys | None = None,
        traced_by: TracedBy | None = None,
    ) -> Self:
        """Return the database over an `engine` of its own. ``personal`` are the keys of personal data; without them
        none is written or read. ``traced_by`` returns the trace that is under way; each wake-up that a transaction
        stores bears it. Without it no transaction costs a statement more."""
        opened = engine(
            database_url,
            pool_size=pool_size,
            patience_seconds=patience_seconds,
            planned_once=planned_once,
            pooled=pooled,
        )
        return cls(opened, personal=personal, traced_by=traced_by, pooled=pooled)

    def apart(self) -> "Database":
        """Return the same database with its own connection: for another event loop, or for work that must not hold a
        pooled connection."""
        url = self._engine.url.render_as_string(hide_password=False)
        return Database.at(url, pool_size=1, personal=self._personal, traced_by=self._traced_by, pooled=self._pooled)

    @property
    def personal(self) -> PersonalKeys:
        """The keys of personal data that it was opened with."""
        return self._personal

    @property
    def pooled(self) -> bool:
        """Whether we were told that a pooler stands before PostgreSQL."""
        return self._pooled

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction for the length of the block. It reads: PostgreSQL refuses every statement that writes or
        locks a row, so nothing in it ever has to be repeated."""
        return self._opened(self._reading, None)

    async def write(
        self, work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]], *given: P.args, **named: P.kwargs
    ) -> T:
        """Return the result of ``work``, done in a transaction of its own. If PostgreSQL ends that by a deadlock or a
        conflict, or the work asks to `BeginAgain`, all of it is done again after a short pause.

        So work has no effect outside of its transaction, unless that does no harm when it is repeated.

        Raises:
            DBAPIError, BeginAgain: the last answer, after eight attempts.
        """
        for attempt in range(1, _ATTEMPTS):
            try:
                async with self.transaction() as connection:
                    return await work(connection, *given, **named)
            except (DBAPIError, BeginAgain) as error:
                if not asks_to_repeat(error):
                    raise
            await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        async with self.transaction() as connection:
            return await work(connection, *given, **named)

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction for the length of the block, once. The product goes through `reading` and `write`; this is
        for tests and measurements, which want to see what a single transaction meets."""
        return self._opened(self._engine, self._traced_by and self._traced_by())

    @asynccontextmanager
    async def _opened(self, engine: AsyncEngine, trace: str | None) -> AsyncIterator[AsyncConnection]:
        """At the end of the block run the registered work (`Unit`) and commit; on any exception roll back."""
        async with Connection(engine) as connection, connection.begin():
            # Held here: a connection that broke refuses to be asked for it, and would hide the error that broke it.
            info = connection.info
            unit = info[UNIT] = Unit()
            info[KEYS] = self._personal
            try:
                if trace is not None:
                    await connection.execute(_TRACE, {"trace": trace})
                yield connection
                await unit.finish(connection)
            finally:
                # The pool reuses the connection for another transaction.
                info.pop(UNIT, None)

    def _count(self, *_: Any) -> None:
        self.connections_opened += 1

    async def close(self) -> None:
        await self._engine.dispose()


def _note(connection: SyncConnection, cursor: Any, statement: str, *_: Any) -> None:
    unit = connection.info.get(UNIT)
    if unit is not None:
        unit.statements.add(statement)
