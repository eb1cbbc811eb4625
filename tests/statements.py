"""Count what a process sends to PostgreSQL, at the driver, so that no way around SQLAlchemy stays unseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

#: By this the pool asks a connection whether it is still there.
_PING = ";"


@dataclass
class Sent:
    """The commands that were sent, by their text, and how many transactions were committed.

    Each set of parameters of an `executemany` counts as a command, and so does each COPY.
    """

    statements: list[str] = field(default_factory=list)
    commits: int = 0

    def __str__(self) -> str:
        lines = (" ".join(each.split())[:160] for each in self.statements)
        return "\n".join(f"{number:3} {line}" for number, line in enumerate(lines, 1))


@contextmanager
def counted() -> Iterator[Sent]:
    """Count from here to the end of the block; BEGIN, COMMIT and the pings of a pool are no statements."""
    sent = Sent()
    cursor, connection = psycopg.AsyncCursor, psycopg.AsyncConnection
    execute, executemany, copy, commit = cursor.execute, cursor.executemany, cursor.copy, connection.commit

    def note(query: Any, times: int = 1) -> None:
        if (text := query if isinstance(query, str) else str(query)) != _PING:
            sent.statements += [text] * times

    async def noted_execute(self: Any, query: Any, *given: Any, **named: Any) -> Any:
        note(query)
        return await execute(self, query, *given, **named)

    async def noted_executemany(self: Any, query: Any, params_seq: Any, **named: Any) -> None:
        sets = list(params_seq)
        note(query, len(sets))
        await executemany(self, query, sets, **named)

    def noted_copy(self: Any, statement: Any, *given: Any, **named: Any) -> Any:
        note(statement)
        return copy(self, statement, *given, **named)

    async def noted_commit(self: Any) -> None:
        sent.commits += 1
        await commit(self)

    cursor.execute, cursor.executemany, cursor.copy = noted_execute, noted_executemany, noted_copy  # type: ignore
    connection.commit = noted_commit  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        cursor.execute, cursor.executemany, cursor.copy = execute, executemany, copy  # type: ignore
        connection.commit = commit  # type: ignore[method-assign]
