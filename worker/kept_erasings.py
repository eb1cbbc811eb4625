"""Keeps erasings in Temporal beside the register, and asks for those again that a restored register lacks.

Each is a run that no code ever executes: its memo says whom it is about, and its first task would come when no backup
from before the erasing exists any more. Then it ends by itself. So it is read while nothing serves, needs no worker and
no replay, and whoever ends it by hand loses this record alone.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from models.session import Database
from referral_rewards.domain.persons.kept_outside import KeptErasing
from referral_rewards.register.persons import outside
from referral_rewards.workflow_ids import KEPT_ERASINGS, MEMO_OF_ERASING, kept_erasing_id

_log = structlog.get_logger("worker")

#: Seconds between two looks for erasings that are not kept yet.
_PAUSE: Final = 10.0
#: How often what is kept is compared with the register, beside whenever a process begins.
_COMPARE_EVERY: Final = timedelta(hours=1)
#: How many are kept in one turn, and compared with the register by one statement.
_AT_ONCE: Final = 200
#: How long a run stays that should have ended.
_LINGERS: Final = timedelta(days=1)


class KeptErasings:
    """What Temporal keeps of erasings for as long as there are ``backups``; ``queue`` is a task queue that nobody
    serves, and by which they are found again."""

    def __init__(self, database: Database, client: Client, backups: timedelta, *, queue: str = KEPT_ERASINGS) -> None:
        self._database, self._client, self._backups, self._queue = database, client, backups, queue
        self._compared_at = datetime.min.replace(tzinfo=UTC)

    async def turn(self) -> float:
        """Compare if it is due, keep what is not kept yet, and return the seconds until the next turn."""
        now = datetime.now(UTC)
        if now - self._compared_at >= _COMPARE_EVERY:
            await self.compare(now)
            self._compared_at = now
        kept = await self._keep(now)
        return 0.0 if kept >= _AT_ONCE else _PAUSE

    async def compare(self, now: datetime) -> int:
        """Ask for each erasing again that is kept and that the register lacks; return how many those are."""
        found, some = 0, list[KeptErasing]()
        async for each in self._kept():
            some.append(each)
            if len(some) == _AT_ONCE:
                found, some = found + await self._database.write(outside.ask_again, some, now), []
        found += await self._database.write(outside.ask_again, some, now)
        if found:
            _log.error("erasings_restored", erasings=found)
        return found

    async def _keep(self, now: datetime) -> int:
        async with self._database.reading() as connection:
            fresh = await outside.to_keep(connection, _AT_ONCE)
        for each in fresh:
            await self._client.start_workflow(
                KEPT_ERASINGS,
                id=kept_erasing_id(str(each.id)),
                task_queue=self._queue,
                id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
                memo={MEMO_OF_ERASING: each},
                start_delay=self._backups,
                execution_timeout=self._backups + _LINGERS,
                static_summary="An erasing, kept for as long as there are backups",
            )
            await self._database.write(outside.note_kept, each.id, now)
        return len(fresh)

    async def _kept(self) -> AsyncIterator[KeptErasing]:
        query = f"WorkflowType = '{KEPT_ERASINGS}' AND ExecutionStatus = 'Running' AND TaskQueue = '{self._queue}'"
        async for run in self._client.list_workflows(query):
            try:
                kept: KeptErasing | None = await run.memo_value(MEMO_OF_ERASING, default=None, type_hint=KeptErasing)
            except KeyError:  # of an encoding that no key of ours opened
                _log.error("kept_erasing_sealed", run=run.id, why="REFERRALS_PAYLOAD_KEYS lacks the key that sealed it")
                continue
            if kept is not None:
                yield kept
