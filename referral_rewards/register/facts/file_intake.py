"""Record a file of facts, one batch per transaction, so that an interrupted file can be resumed cheaply."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.errors import FactConflict, Problem
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.file_check import told_apart
from referral_rewards.domain.facts.intake_warnings import WarningsOfFile
from referral_rewards.domain.facts.jsonl import Line
from referral_rewards.domain.facts.outcomes import LineRun, Outcome, line_runs
from referral_rewards.register import outbox
from referral_rewards.register.facts.intake import NOTHING, Intake, Prepared, Recorded
from referral_rewards.register.locks import Lock

BATCH_LINES: Final = 500
#: The interpreter's switch interval while a thread reads ahead. With Python's default of 5 ms a batch's ten statements
#: would wait longer for that thread than for Postgres.
_HAND_OVER_SECONDS: Final = 0.0005


@dataclass(slots=True)
class Tally:
    """The counts of a file's lines by outcome; ``refused`` lines hold no fact that we can record now."""

    batch: UUID | None = None
    recorded: int = 0
    repeated: int = 0
    refused: int = 0
    conflicts: int = 0
    warnings: WarningsOfFile = field(default_factory=WarningsOfFile)


Tell = Callable[[int, Problem], None]
"""Called for each problem, with the number of its line."""

Became = Callable[[LineRun], None]
"""Called for each run of lines of which one thing became, in the order of the lines."""

Progress = Callable[[int], None]
"""Called with the number of bytes of the file that are done."""


Guard = Callable[[AsyncConnection], Awaitable[None]]
"""Called in each transaction that stores facts; if it raises, the file stops there."""


class Facts(Protocol):
    """Facts to be recorded: from a local file, or from a request body."""

    @property
    def name(self) -> str:
        """A name by which an interrupted file is resumed: a hash of its content."""

    def batches(self, size: int) -> Iterator[tuple[list[Line], int]]:
        """Yield the lines in order, ``size`` at a time, with the number of bytes read so far. Reading may block."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Lines of a file, read and prepared: the facts that can be recorded, and the refused lines."""

    taken: tuple[tuple[int, Event], ...]
    refused: tuple[Line, ...]
    prepared: Prepared
    bytes_done: int


class FileIntake:
    """Records files of facts. Passes problems to ``tell`` and outcomes to ``became`` as they are found."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        *,
        tell: Tell,
        became: Became = lambda run: None,
        progress: Progress = lambda done: None,
        guard: Guard | None = None,
    ) -> None:
        self._database = database
        self._intake = intake
        self._tell = tell
        self._became = became
        self._progress = progress
        self._guard = guard

    async def take(self, file: Facts) -> Tally:
        """Record the good lines of a file, one batch per transaction. A second call resumes an interrupted file."""
        batch = await self._database.write(open_batch, file.name, datetime.now(UTC))
        tally = Tally(batch)
        async with aclosing(self._ahead(file)) as ahead:
            async for read in ahead:
                _refuse(read, tally, self._tell)
                recorded = await self._database.write(self._store, read, batch) if read.taken else NOTHING
                _count(recorded, read, tally, self._tell)
                for run in _runs(recorded, read):
                    self._became(run)
                self._progress(read.bytes_done)
        await self._database.write(finish, batch, datetime.now(UTC))
        return tally

    async def take_whole(self, file: Facts) -> Tally:
        """Record a file entirely or not at all: a first pass only checks it, a second stores it in one transaction.

        If ``refused`` or ``conflicts`` is above zero, nothing was stored.
        """
        looked = Tally()
        async with aclosing(self._ahead(file)) as ahead:
            async for read in ahead:
                _refuse(read, looked, self._tell)
        if looked.refused:
            return looked
        try:
            tally, runs = await self._database.write(self._take_in_one, file)
        except _Conflicting as found:
            for number, problem in found.problems:
                self._tell(number, problem)
            return found.tally
        for run in runs:
            self._became(run)
        return tally

    async def _take_in_one(self, connection: AsyncConnection, file: Facts) -> tuple[Tally, list[LineRun]]:
        # All locks at once and in order: taken batch by batch they could deadlock with another writer.
        await connection.execute(_EVERY_LOCK, {"space": int(Lock.FACTS), "last": keys.LOCKS - 1})
        now = datetime.now(UTC)
        batch = await open_batch(connection, file.name, now)
        # Told at the end: if the transaction is repeated, they are found again.
        tally, problems, runs = Tally(batch), list[tuple[int, Problem]](), list[LineRun]()

        def tell(number: int, problem: Problem) -> None:
            problems.append((number, problem))

        async with aclosing(self._ahead(file)) as ahead:
            async for read in ahead:
                _refuse(read, tally, tell)
                await self._ask(connection)
                recorded = await self._intake.record(connection, read.prepared, received_at=now, batch=batch)
                _count(recorded, read, tally, tell)
                runs += _runs(recorded, read)
                self._progress(read.bytes_done)
        if tally.conflicts or tally.refused:
            raise _Conflicting(tally, problems)
        await finish(connection, batch, now)
        return tally, runs

    async def _ahead(self, file: Facts) -> AsyncGenerator[_Batch]:
        """Yield the file's batches; the next one is read and prepared while the current one is stored."""
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

    async def _store(self, connection: AsyncConnection, read: _Batch, batch: UUID) -> Recorded:
        now = datetime.now(UTC)
        await self._ask(connection)
        return await self._intake.record(connection, read.prepared, received_at=now, batch=batch)

    async def _ask(self, connection: AsyncConnection) -> None:
        if self._guard is not None:
            await self._guard(connection)


def _refuse(read: _Batch, tally: Tally, tell: Tell) -> None:
    tally.refused += len(read.refused)
    for line in read.refused:
        for problem in line.problems:
            tell(line.number, problem)


def _count(recorded: Recorded, read: _Batch, tally: Tally, tell: Tell) -> None:
    tally.recorded += recorded.new
    tally.repeated += recorded.repeated
    tally.conflicts += len(recorded.conflicts)
    numbers = [number for number, _ in read.taken]
    for number, event, outcome in zip(numbers, recorded.events, recorded.outcomes, strict=True):
        if outcome is Outcome.CONFLICT:
            tell(number, Problem("", str(FactConflict(event.source, event.event_id))))
    for place, warning in recorded.warnings:
        tally.warnings.add(numbers[place], warning)


def _runs(recorded: Recorded, read: _Batch) -> Iterator[LineRun]:
    """Return what became of each line that was read."""
    taken = zip((number for number, _ in read.taken), recorded.outcomes, strict=True)
    return line_runs((*taken, *((line.number, Outcome.REFUSED) for line in read.refused)))


class _HandOver:
    """The number of files being read, and the interpreter's usual switch interval."""

    files = 0
    usual = sys.getswitchinterval()


@contextmanager
def _hands_over() -> Iterator[None]:
    """Shorten the switch interval during the block; several blocks may run at the same time."""
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

    def __init__(self, tally: Tally, problems: Sequence[tuple[int, Problem]]) -> None:
        self.tally = tally
        self.problems = problems


def _sorted_out(lines: Sequence[Line], bytes_done: int, intake: Intake) -> _Batch:
    taken, refused = told_apart(lines, datetime.now(UTC))
    return _Batch(tuple(taken), tuple(refused), intake.prepare([event for _, event in taken]), bytes_done)


_EVERY_LOCK: Final = text("SELECT pg_advisory_xact_lock(:space, l) FROM generate_series(0, :last) AS l ORDER BY l")


#: An unfinished batch is released as it is after this time (SPEC §4 Closing).
ABANDONED_AFTER: Final = timedelta(hours=1)


async def open_batch(connection: AsyncConnection, name: str, at: datetime) -> UUID:
    """Begin a batch, or resume the unfinished one of that name (a file's content hash); return its id."""
    return UUID(str((await connection.execute(_OPEN, {"id": uuid4(), "name": name, "at": at})).scalar_one()))


async def is_known(connection: AsyncConnection, batch: UUID) -> bool:
    """Return whether there is such a batch."""
    return bool((await connection.execute(_KNOWN, {"id": batch})).scalar_one())


async def finish(connection: AsyncConnection, batch: UUID, at: datetime) -> None:
    """Mark a batch as complete: its facts no longer wait for stragglers, and its wake-ups are released."""
    await connection.execute(_FINISH, {"id": batch, "at": at})
    await outbox.release(connection, [batch])


async def release_abandoned(connection: AsyncConnection, now: datetime) -> None:
    """Release the wake-ups of batches that were interrupted and not resumed; their facts count as sent singly."""
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
