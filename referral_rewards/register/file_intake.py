"""Takes a file of facts into the register, a batch a transaction, so that an interrupted one is cheap to go on with."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.errors import FactConflict, Problem
from referral_rewards.domain.facts import Event, too_far_ahead
from referral_rewards.register import batches, matching
from referral_rewards.register.fact_files import FactFile
from referral_rewards.register.fact_lines import Line
from referral_rewards.register.facts import Intake, Recorded
from referral_rewards.register.locks import Lock
from referral_rewards.register.retrying import retrying

BATCH_LINES: Final = 500


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


class FileIntake:
    """Takes files in. Problems go to ``tell`` as they are found; good lines land whatever stands beside them."""

    def __init__(
        self, database: Database, pepper: bytes, *, tell: Tell, progress: Progress = lambda done: None
    ) -> None:
        self._database = database
        self._intake = Intake(pepper)
        self._tell = tell
        self._progress = progress

    async def take(self, file: FactFile) -> Tally:
        """Takes a file in, a batch a transaction. Taken in again it goes on where it stopped."""
        async with self._database.transaction() as connection:
            batch = await batches.open_batch(connection, file.content_hash, datetime.now(UTC))
        tally = Tally(batch)
        lines = file.batches(BATCH_LINES)
        # The next batch is read while Postgres stores this one.
        ahead = asyncio.create_task(asyncio.to_thread(_next, lines))
        try:
            while (found := await ahead) is not None:
                ahead = asyncio.create_task(asyncio.to_thread(_next, lines))
                read, done = found
                events = self._admit(read, tally)
                if events:
                    recorded = await self._store([event for _, event in events], batch)
                    self._count(recorded, events, tally)
                self._progress(done)
        finally:
            ahead.cancel()
        async with self._database.transaction() as connection:
            await batches.finish(connection, batch, datetime.now(UTC))
        return tally

    async def take_whole(self, file: FactFile) -> Tally:
        """Takes a file in entirely or not at all: the first look stores nothing, the second is one transaction.

        ``refused`` or ``conflicts`` above zero say that nothing was stored.
        """
        looked = Tally()
        for read, _ in file.batches(BATCH_LINES):
            self._admit(read, looked)
        if looked.refused:
            return looked
        try:
            return await retrying(lambda: self._take_in_one(file))
        except _Conflicting as found:
            return found.tally

    async def _take_in_one(self, file: FactFile) -> Tally:
        async with self._database.transaction() as connection:
            # All at once and in order: batch by batch they would be taken crosswise with another writer's.
            await connection.execute(_EVERY_LOCK, {"space": int(Lock.FACTS), "last": matching.LOCKS - 1})
            now = datetime.now(UTC)
            batch = await batches.open_batch(connection, file.content_hash, now)
            tally = Tally(batch)
            for read, done in file.batches(BATCH_LINES):
                events = self._admit(read, tally)
                recorded = await self._record(connection, [event for _, event in events], batch)
                self._count(recorded, events, tally)
                self._progress(done)
            if tally.conflicts or tally.refused:
                raise _Conflicting(tally)
            await batches.finish(connection, batch, now)
        return tally

    def _admit(self, read: Sequence[Line], tally: Tally) -> list[tuple[int, Event]]:
        """The lines that hold a fact we can take now; the others are told and counted."""
        now = datetime.now(UTC)
        admitted = []
        for line in read:
            problems = line.problems
            if line.event is not None and (ahead := too_far_ahead(line.event, now)):
                problems = (ahead,)
            if problems or line.event is None:
                tally.refused += 1
                for problem in problems:
                    self._tell(line.number, problem)
            else:
                admitted.append((line.number, line.event))
        return admitted

    async def _store(self, events: Sequence[Event], batch: UUID) -> Recorded:
        async def work() -> Recorded:
            async with self._database.transaction() as connection:
                return await self._record(connection, events, batch)

        return await retrying(work)

    async def _record(self, connection: AsyncConnection, events: Sequence[Event], batch: UUID) -> Recorded:
        return await self._intake.record(connection, events, received_at=datetime.now(UTC), batch=batch)

    def _count(self, recorded: Recorded, events: Sequence[tuple[int, Event]], tally: Tally) -> None:
        tally.recorded += recorded.new
        tally.repeated += recorded.repeated
        tally.conflicts += len(recorded.conflicts)
        numbers = {id(event): number for number, event in events}
        for event in recorded.conflicts:
            self._tell(numbers[id(event)], Problem("", str(FactConflict(event.source, event.event_id))))


class _Conflicting(Exception):
    """Rolls a whole file back."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally


def _next(lines: Iterator[tuple[list[Line], int]]) -> tuple[list[Line], int] | None:
    return next(lines, None)


_EVERY_LOCK: Final = text("SELECT pg_advisory_xact_lock(:space, l) FROM generate_series(0, :last) AS l ORDER BY l")
