"""Rows of any number, read from a cursor of the server that is closed however the reading ends."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

_NOTHING: Final[Mapping[str, object]] = {}


@asynccontextmanager
async def rows(
    connection: AsyncConnection, statement: TextClause, asked: Mapping[str, object] = _NOTHING
) -> AsyncIterator[AsyncIterator[Row[Any]]]:
    """Open the rows of a statement for the length of the block."""
    result = await connection.stream(statement, dict(asked))
    try:
        yield result.__aiter__()
    finally:
        await result.close()
