"""A line to a server on loopback that a test can cut: as if the server were gone, for those who go over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Line:
    """Carries bytes between its own port and the server's, until it is cut. ``port`` stays the same."""

    server: tuple[str, int]
    port: int = 0
    _listening: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def mend(self) -> None:
        """Take connections again."""
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        assert self._listening is not None
        self._listening.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            beyond, to_server = await asyncio.open_connection(*self.server)
            self._open |= {writer, to_server}
            try:
                await asyncio.gather(_pumped(reader, to_server), _pumped(beyond, writer))
            finally:
                self._open -= {writer, to_server}
                for each in (writer, to_server):
                    each.close()


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def line(host: str, port: int) -> AsyncIterator[Line]:
    """A line to that server, whole at first."""
    opened = Line((host, port))
    await opened.mend()
    try:
        yield opened
    finally:
        await opened.cut()
