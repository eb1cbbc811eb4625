"""Watches that the register still holds what its mark says, and raises the mark while payments are made.

The mark is kept in Temporal (`workflows/register_mark.py`). A payment that is newer than it is safe for another reason:
every provider knows the payment's key for at least a day.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from models.session import Database
from referral_rewards.domain.restores.mark import Mark, lost, raised
from referral_rewards.register.reconciliations import after_restore
from referral_rewards.register.restores import halting
from referral_rewards.register.restores import mark as marks
from referral_rewards.temporal import REGISTER_MARK, kept_mark
from workflows.register_mark import RegisterMark

_log = structlog.get_logger("worker")

_LOOK_SECONDS: Final = 5.0
#: SPEC §7 asks for ten minutes at most.
_RAISE_EVERY: Final = timedelta(seconds=30)
#: Who found a restore, in the register and the audit log.
FINDER: Final = "the register's mark"


class Marking:
    """The mark as this process knows it: as it was ``told``, and with what it saw since. ``name`` is the id of the
    workflow that keeps it."""

    def __init__(self, database: Database, client: Client, queue: str, *, name: str = REGISTER_MARK) -> None:
        self._database = database
        self._client = client
        self._queue = queue
        self._name = name
        self._told: Mark | None = None
        self._kept: Mark | None = None
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._connections = 0
        self._started = False

    async def turn(self) -> float:
        """Halt the rails if the register was restored, raise the mark if it is due, and return the seconds until the
        next turn."""
        now = datetime.now(UTC)
        due = now - self._read_at >= _RAISE_EVERY
        if due:
            self._told = await kept_mark(self._client, self._name)
            self._kept = raised(self._kept, self._told) if self._told is not None else self._kept
            self._read_at = now
        restored, newest = await self._looked(now)
        # What this process saw it holds against a register that is exchanged before the mark is raised.
        self._kept = raised(self._kept, newest)
        if not self._started:
            await self._start(now)
        if due:
            await self._database.write(after_restore.once_more, now)
        if due or restored:
            await self._raise(self._kept)
        return _LOOK_SECONDS

    async def is_whole(self, connection: AsyncConnection) -> bool:
        """Return whether the register holds its mark. It is asked only if a connection was opened since the last time:
        a database is not exchanged under an open one."""
        opened = self._database.connections_opened
        if self._kept is None or opened == self._connections:
            return True
        whole = not lost(self._kept, await marks.held(connection, self._kept))
        if whole:
            self._connections = opened
        return whole

    async def _start(self, now: datetime) -> None:
        """Have the rails' lists compared once: they show a restore of which the mark can't tell."""
        await self._database.write(after_restore.at_the_start, now)
        self._started = True

    async def _looked(self, now: datetime) -> tuple[bool, Mark]:
        """Return whether a restore was found just now, and the register's mark as it is."""
        restored_to, newest = await self._database.write(_found, self._kept, now)
        if restored_to is not None:
            _log.error("register_restored", restored_to=restored_to.isoformat(), rails="halted")
        return restored_to is not None, newest

    async def _raise(self, seen: Mark) -> None:
        """Have the mark kept, if it is higher than what is kept. The halts of a restore are committed by then."""
        kept = raised(self._told, seen)
        if kept != self._told:
            await self._client.start_workflow(
                RegisterMark.run,
                id=self._name,
                task_queue=self._queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="raise_to",
                start_signal_args=[kept],
                static_summary="What the register held at last",
            )
            self._told = kept


async def _found(connection: AsyncConnection, kept: Mark | None, now: datetime) -> tuple[datetime | None, Mark]:
    """Halt the rails if the register was restored. Return to when it was, and its mark as it is."""
    restored_to = await halting.find(connection, kept, now, by=FINDER) if kept else None
    if restored_to is not None:
        await after_restore.reconcile(connection, restored_to, now, by=FINDER)
    return restored_to, await marks.newest(connection, now)
