"""Databases for tests: each a copy of one that was migrated, or also filled, once for the session."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, TypeVar

import psycopg

from referral_rewards.config.stack import with_driver

#: Called with the URL of each copy that a test is done with, before it is dropped.
farewells: Final[list[Callable[[str], Awaitable[None]]]] = []
_numbers = count(1)
_administrators: dict[str, psycopg.AsyncConnection] = {}
_T = TypeVar("_T")


class Snapshots:
    """Databases that were filled once for the session; who asks for one gets a copy of its own."""

    def __init__(self, url: str, template: str) -> None:
        self._url, self._template = url, template
        self._filled: dict[Callable[[str], Awaitable[Any]], tuple[str, Any]] = {}

    @asynccontextmanager
    async def of(self, fill: Callable[[str], Awaitable[_T]]) -> AsyncIterator[tuple[str, _T]]:
        """The URL of a copy for the length of the block, with what ``fill`` gave; that left no connection open."""
        if fill not in self._filled:
            source = f"snapshot_{next(_numbers)}"
            await administer(self._url, f"CREATE DATABASE {source} TEMPLATE {self._template}")
            self._filled[fill] = source, await fill(with_driver(beside(self._url, source)))
        source, kept = self._filled[fill]
        async with copied(self._url, source) as url:
            yield url, kept


@asynccontextmanager
async def copied(url: str, template: str) -> AsyncIterator[str]:
    """A copy of a database of the server at ``url``, by its own (``postgresql+psycopg://…``), for the length of the
    block."""
    name = f"test_{next(_numbers)}"
    # Copying files costs less than writing each block to the log, where nothing has to survive a crash.
    await administer(url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    mine = with_driver(beside(url, name))
    yield mine
    try:
        for farewell in farewells:
            await farewell(mine)
    finally:
        await administer(url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[None]:
    """Keeps a connection to this database open for `administer`: to open one takes half as long as to copy a
    database."""
    async with await _connect(url) as connection:
        _administrators[url] = connection
        yield
        del _administrators[url]


async def administer(url: str, statement: str) -> None:
    kept = _administrators.get(url)
    if kept is not None and not kept.closed:
        await kept.execute(statement.encode())
        return
    async with await _connect(url) as connection:
        await connection.execute(statement.encode())


async def _connect(url: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(url, autocommit=True)


def beside(url: str, database: str) -> str:
    """Another database of the same server."""
    return f"{url.rpartition('/')[0]}/{database}"
