"""A wire between two processes that can be cut: a proxy on loopback in front of a server.

Three things go wrong with a wire. It is cut at once; it frays, so that each connection ends after some bytes more, in
the middle of a request or of its answer; or it falls silent, and nobody is told.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
_PIECE_BYTES: Final = 65536
#: A frayed connection ends after so many bytes at most, to either side together.
_FRAYED_BYTES: Final = 12_000


@dataclass(slots=True)
class Wire:
    """The way to one server. ``port`` is where it begins, ``target`` the port where it ends."""

    target: int
    chance: random.Random
    port: int = 0
    frayed: bool = False
    cuts: int = 0  # connections that were ended by us
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _speaks: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """End all connections without a word, wherever they are."""
        for each in list(self._open):
            self.cuts += 1
            each.transport.abort()

    def fray(self) -> None:
        """End each connection after some bytes more, until it is mended."""
        self.frayed = True

    def hush(self) -> None:
        """Carry nothing more, and end nothing, until it is mended."""
        self._speaks.clear()

    def mend(self) -> None:
        self.frayed = False
        self._speaks.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect whoever came to the server, until one of both ends or the wire is cut."""
        self._tasks.add(own := asyncio.current_task())  # type: ignore[arg-type]
        try:
            await self._speaks.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            self._tasks.discard(own)  # type: ignore[arg-type]
            return
        both = {writer, far_writer}
        self._open |= both
        left = [self.chance.randrange(_FRAYED_BYTES)]
        try:
            ways = [
                asyncio.create_task(self._forward(reader, far_writer, left)),
                asyncio.create_task(self._forward(far_reader, writer, left)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in ways:
                    each.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()
            self._tasks.discard(own)  # type: ignore[arg-type]

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._speaks.wait()
                if self.frayed:
                    piece, beyond = piece[: left[0]], len(piece) > left[0]
                    left[0] -= len(piece)
                    if beyond:
                        self.cuts += 1
                        return
                writer.write(piece)
                await writer.drain()

    async def end(self) -> None:
        """End whatever it still carries."""
        self.mend()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def wire(target: int, chance: random.Random) -> AsyncIterator[Wire]:
    """A wire to a port on loopback, for the length of the block."""
    made = Wire(target, chance)
    made.mend()
    server = await asyncio.start_server(made.carry, HOST, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.end()
