"""Takes a file of facts into the register, a batch a transaction, so that an interrupted one is cheap to go on with."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.errors import FactConflict, Problem
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event, too_far_ahead
from referral_rewards.register import outbox
from referral_rewards.register.facts.intake import Intake, Prepared, Recorded
from referral_rewards.register.facts.jsonl import Line
from referral_rewards.register.locks import Lock, retrying

BATCH_LINES: Final = 500
#: How soon the thread that reads ahead gives way to a statement's answer. By Python's default of 5 ms a batch's ten
#: statements would wait longer for it than for Postgres.
_HAND_OVER_SECONDS: Final = 0.0005


@dataclass(slots=True)
class Tally:
    """What became of a file's lines; ``refused`` counts those that could not be taken. ``batch`` is the file's."""

    batch: UUID | None = None
    recorded: int = 0
    repeated: int = 0
    refused: int = 0
    conflicts: int = 0


Tell = Callable[[int, Problem], None]
"""Told of each problem with the number of its line."""

Progress = Callable[[int], None]
"""Told how many bytes of the file are done."""


Guard = Callable[[AsyncConnection], Awaitable[None]]
"""Asked in each transaction that stores facts; what it raises stops the file there."""


class Facts(Protocol):
    """Facts to be taken in: a file of ours, or one that is being sent to us."""

    @property
    def name(self) -> str:
        """Names them when they are taken in again: a hash of their content."""

    def batches(self, size: int) -> Iterator[tuple[list[Line], int]]:
        """Their lines in order, ``size`` at a time, each time with the bytes read so far. Reading may block."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Lines of a file, read and prepared: the facts that can be taken, and the lines that can't."""

    taken: tuple[tuple[int, Event], ...]
    refused: tuple[Line, ...]
    prepared: Prepared
    bytes_done: int


class FileIntake:
    """Takes files in. Problems go to ``tell`` as they are found; good lines land whatever stands beside them."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        *,
        tell: Tell,
        progress: Progress = lambda done: None,
        guard: Guard | None = None,
    ) -> None:
        self._database = database
        self._intake = intake
        self._tell = tell
        self._progress = progress
        self._guard = guard

    async def take(self, file: Facts) -> Tally:
        """Takes a file in, a batch a transaction. Taken in again it goes on where it stopped."""
        async with self._database.transaction() as connection:
            batch = await open_batch(connection, file.name, datetime.now(UTC))
        tally = Tally(batch)
        async with aclosing(self._ahead(file)) as ahead:
            async for read in ahead:
                self._refuse(read, tally)
                if read.taken:
                    self._count(await self._store(read, batch), read, tally)
                self._progress(read.bytes_done)
        async with self._database.transaction() as connection:
            await finish(connection, batch, datetime.now(UTC))
        return tally

    async def take_whole(self, file: Facts) -> Tally:
        """Takes a file in entirely or not at all: the first look stores nothing, the second is one transaction.

        ``refused`` or ``conflicts`` above zero say that nothing was stored.
        """
        looked = Tally()
        async with aclosing(self._ahead(file)) as ahead:
            async for read in ahead:
                self._refuse(read, looked)
        if looked.refused:
            return looked
        try:
            return await retrying(lambda: self._take_in_one(file))
        except _Conflicting as found:
            return found.tally

    async def _take_in_one(self, file: Facts) -> Tally:
        async with self._database.transaction() as connection:
            # All at once and in order: batch by batch they would be taken crosswise with another writer's.
            await connection.execute(_EVERY_LOCK, {"space": int(Lock.FACTS), "last": keys.LOCKS - 1})
            now = datetime.now(UTC)
            batch = await open_batch(connection, file.name, now)
            tally = Tally(batch)
            async with aclosing(self._ahead(file)) as ahead:
                async for read in ahead:
                    self._refuse(read, tally)
                    await self._ask(connection)
                    recorded = await self._intake.record(connection, read.prepared, received_at=now, batch=batch)
                    self._count(recorded, read, tally)
                    self._progress(read.bytes_done)
            if tally.conflicts or tally.refused:
                raise _Conflicting(tally)
            await finish(connection, batch, now)
        return tally

    async def _ahead(self, file: Facts) -> AsyncGenerator[_Batch]:
        """The file's batches; the next one is read and prepared while the present one is stored."""
        found = file.batches(BATCH_LINES)

        def read() -> _Batch | None:
            lines = next(found, None)
            return None if lines is None else _sorted_out(*lines, self._intake)

        # A thread of its own: reading may wait for whoever sends the file, and others need the shared ones meanwhile.
        reader, loop = ThreadPoolExecutor(max_workers=1), asyncio.get_running_loop()
        with _hands_over():
            coming = loop.run_in_executor(reader, read)
            try:
                while (batch := await coming) is not None:
                    coming = loop.run_in_executor(reader, read)
                    yield batch
            finally:
                coming.cancel()
                reader.shutdown(wait=False, cancel_futures=True)

    async def _store(self, read: _Batch, batch: UUID) -> Recorded:
        async def work() -> Recorded:
            async with self._database.transaction() as connection:
                now = datetime.now(UTC)
                await self._ask(connection)
                return await self._intake.record(connection, read.prepared, received_at=now, batch=batch)

        return await retrying(work)

    async def _ask(self, connection: AsyncConnection) -> None:
        if self._guard is not None:
            await self._guard(connection)

    def _refuse(self, read: _Batch, tally: Tally) -> None:
        tally.refused += len(read.refused)
        for line in read.refused:
            for problem in line.problems:
                self._tell(line.number, problem)

    def _count(self, recorded: Recorded, read: _Batch, tally: Tally) -> None:
        tally.recorded += recorded.new
        tally.repeated += recorded.repeated
        tally.conflicts += len(recorded.conflicts)
        numbers = {id(event): number for number, event in read.taken}
        for event in recorded.conflicts:
            self._tell(numbers[id(event)], Problem("", str(FactConflict(event.source, event.event_id))))


class _HandOver:
    """How many files are being read, and Python's own interval."""

    files = 0
    usual = sys.getswitchinterval()


@contextmanager
def _hands_over() -> Iterator[None]:
    """Has threads give way sooner for the length of the block, of which there may be several at a time."""
    _HandOver.files += 1
    sys.setswitchinterval(_HAND_OVER_SECONDS)
    try:
        yield
    finally:
        _HandOver.files -= 1
        if not _HandOver.files:
            sys.setswitchinterval(_HandOver.usual)


class _Conflicting(Exception):
    """Rolls a whole file back."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally


def _sorted_out(lines: Sequence[Line], bytes_done: int, intake: Intake) -> _Batch:
    """The lines that hold a fact we can take now, and the others with why not."""
    now = datetime.now(UTC)
    taken, refused = [], []
    for line in lines:
        ahead = too_far_ahead(line.event, now) if line.event is not None else None
        if line.event is None:
            refused.append(line)
        elif ahead is not None:
            refused.append(Line(line.number, None, (ahead,)))
        else:
            taken.append((line.number, line.event))
    return _Batch(tuple(taken), tuple(refused), intake.prepare([event for _, event in taken]), bytes_done)


_EVERY_LOCK: Final = text("SELECT pg_advisory_xact_lock(:space, l) FROM generate_series(0, :last) AS l ORDER BY l")


#: The allowance after which a batch that nobody finished is released as it is (SPEC §4 Closing).
ABANDONED_AFTER: Final = timedelta(hours=1)


async def open_batch(connection: AsyncConnection, name: str, at: datetime) -> UUID:
    """Begins a batch, or goes on with the unfinished one of that name (a file's content hash)."""
    return UUID(str((await connection.execute(_OPEN, {"id": uuid4(), "name": name, "at": at})).scalar_one()))


async def is_known(connection: AsyncConnection, batch: UUID) -> bool:
    """Whether there is such a batch."""
    return bool((await connection.execute(_KNOWN, {"id": batch})).scalar_one())


async def finish(connection: AsyncConnection, batch: UUID, at: datetime) -> None:
    """Marks a batch as whole: its facts wait for no stragglers, and its wake-ups go out."""
    await connection.execute(_FINISH, {"id": batch, "at": at})
    await outbox.release(connection, [batch])


async def release_abandoned(connection: AsyncConnection, now: datetime) -> None:
    """Lets the wake-ups of batches go that were interrupted and not resumed; their facts count as single ones."""
    abandoned = (await connection.execute(_ABANDONED, {"before": now - ABANDONED_AFTER})).scalars().all()
    if abandoned:
        await outbox.release(connection, abandoned)


_OPEN: Final = text("""
INSERT INTO ingest_batch (id, name, opened_at) VALUES (:id, :name, :at)
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
""")

_KNOWN: Final = text("SELECT EXISTS (SELECT 1 FROM ingest_batch WHERE id = :id)")

_FINISH: Final = text("UPDATE ingest_batch SET finished_at = :at WHERE id = :id")

_ABANDONED: Final = text("""
SELECT DISTINCT b.id FROM ingest_batch b JOIN outbox o ON o.batch_id = b.id
WHERE b.finished_at IS NULL AND b.opened_at < CAST(:before AS timestamptz)
""")
