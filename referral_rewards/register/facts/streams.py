"""Read a file of facts from a request body while it arrives, in constant memory."""

import asyncio
import hashlib
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import BinaryIO, Final
from uuid import uuid4

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.facts.csv_rows import csv_rows
from referral_rewards.domain.facts.json_array import json_array
from referral_rewards.domain.facts.jsonl import Line, json_lines

Reader = Callable[[BinaryIO], Iterator[Line]]

#: The reader for each media type.
READERS: Final[Mapping[str, Reader]] = {
    "application/x-ndjson": json_lines,
    "application/jsonl": json_lines,
    "application/json": json_array,
    "text/csv": csv_rows,
}

#: The maximum size of a body that is stored entirely or not at all; it is buffered until it is complete.
WHOLE_BYTES_MAX: Final = 100_000_000
_ASIDE_IN_MEMORY_BYTES: Final = 1_000_000


class Incoming(io.RawIOBase):
    """A body that arrives in chunks on an event loop, as a file for a thread. The sender waits for the reader."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks, self._loop = chunks, asyncio.get_running_loop()
        self._rest = memoryview(b"")
        self._coming: Future[bytes] | None = None
        self._stopped = False
        self._digest = hashlib.sha256()
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(self._next())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    @property
    def sha256(self) -> str:
        """The SHA-256 hash of all bytes read so far."""
        return self._digest.hexdigest()

    def stop(self) -> None:
        """Unblock the reader, because the rest is not needed."""
        self._stopped = True
        if self._coming is not None:
            self._coming.cancel()

    def _next(self) -> bytes:
        if self._stopped:
            return b""
        self._coming = asyncio.run_coroutine_threadsafe(_after_empty(self._chunks), self._loop)
        chunk = self._coming.result()
        self._digest.update(chunk)
        self.bytes_read += len(chunk)
        return chunk


async def _after_empty(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the next chunk that is not empty; empty at the end."""
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""


class FactStream:
    """Facts from a body, stored batch by batch while it arrives.

    ``sha256`` is the hash of the whole body as announced by the sender; by it an interrupted file is resumed.
    """

    def __init__(self, incoming: Incoming, reader: Reader, sha256: str | None) -> None:
        self._incoming, self._reader, self._said = incoming, reader, sha256
        self.name = sha256 or f"sent {uuid4()}"

    def batches(self, size: int) -> Iterator[tuple[list[Line], int]]:
        """Yield the lines in order, ``size`` at a time, with the number of bytes read so far.

        Raises:
            BadInput: if a CSV header can't be read, or at the end if the body does not have the announced hash.
        """
        lines = self._reader(io.BufferedReader(self._incoming, 1 << 16))
        while batch := list(islice(lines, size)):
            yield batch, self._incoming.bytes_read
        check(self._incoming, self._said)


def check(incoming: Incoming, said: str | None) -> None:
    """Return if the body has the announced hash, or none was announced.

    Raises:
        RequestInvalid: if the hash differs.
    """
    if said is not None and said != incoming.sha256:
        told = f"the body hashes to {incoming.sha256}: it is cut short, or another one; what is stored of it stays"
        raise RequestInvalid(told, "sha256")


class FactsAside:
    """Facts from a body that is buffered until it is complete, and can be read several times."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._file = tempfile.SpooledTemporaryFile(max_size=_ASIDE_IN_MEMORY_BYTES)  # noqa: SIM115 (`close` closes it)
        self._digest, self._size = hashlib.sha256(), 0

    async def fill(self, chunks: AsyncIterator[bytes], said: str | None) -> None:
        """Buffer the body.

        Raises:
            RequestInvalid: if it is too large, or does not have the announced hash.
        """
        async for chunk in chunks:
            self._size += len(chunk)
            if self._size > WHOLE_BYTES_MAX:
                told = f"what is taken all or not at all has at most {WHOLE_BYTES_MAX:,} bytes"
                raise RequestInvalid(told, "strict")
            self._digest.update(chunk)
            await asyncio.to_thread(self._file.write, chunk)
        if said is not None and said != self.name:
            raise RequestInvalid(f"the body hashes to {self.name}: it is cut short, or another one", "sha256")

    @property
    def name(self) -> str:
        """The SHA-256 hash of the body."""
        return self._digest.hexdigest()

    def batches(self, size: int) -> Iterator[tuple[list[Line], int]]:
        """Yield the lines in order, ``size`` at a time, with the size of the body in bytes.

        Raises:
            BadInput: if a CSV header can't be read.
        """
        self._file.seek(0)
        lines = self._reader(io.BufferedReader(_Unclosed(self._file)))
        while batch := list(islice(lines, size)):
            yield batch, self._size

    def close(self) -> None:
        """Delete the buffer."""
        with suppress(OSError):
            self._file.close()


class _Unclosed(io.RawIOBase):
    """A file that stays open when its reader is done."""

    def __init__(self, file: "tempfile.SpooledTemporaryFile[bytes]") -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
