"""Files of any length as downloads, each streamed from one snapshot of the register."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.reporting.books.journal import see_one_moment

_BLOCK_CHARACTERS: Final = 32_768

_PLAIN: Final = "text/plain; charset=utf-8"
#: The media type of a file, by the end of its name.
KINDS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

Written = Callable[[AsyncConnection], AsyncIterator[str]]
"""Yields the parts of a file, read over a connection."""


async def sent(database: Database, written: Written, name: str) -> StreamingResponse:
    """Return a download with that file name."""
    blocks = _blocks(database, written)
    # Read the first block here: if the database is away, the response can still be an error.
    first = await anext(blocks)
    return StreamingResponse(
        _chained(first, blocks),
        media_type=KINDS.get(name.rpartition(".")[2], _PLAIN),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _blocks(database: Database, written: Written) -> AsyncGenerator[str]:
    """Yield the file in blocks of about a packet's size, at least one."""
    held, size = [], 0
    async with database.reading() as connection:
        await see_one_moment(connection)
        async for each in written(connection):
            held.append(each)
            size += len(each)
            if size >= _BLOCK_CHARACTERS:
                yield "".join(held)
                held, size = [], 0
    yield "".join(held)


async def _chained(first: str, rest: AsyncGenerator[str]) -> AsyncIterator[str]:
    async with aclosing(rest):
        yield first
        async for each in rest:
            yield each
