"""What a transaction did so far, and what is left to do at its end."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

#: The key under which a connection's `info` holds the unit of work of its transaction.
UNIT: Final = "unit of work"


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
            RuntimeError: if the connection does not come from a `Database`.
        """
        unit = connection.info.get(UNIT)
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
