"""The Temporal Schedules that pull sources: one for each source that the configuration has pulled.

A schedule is only a clock: how far a source was pulled stands in the register. One that the configuration no longer has
is deleted.
"""

from collections.abc import Mapping
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.service import RPCError, RPCStatusCode

from referral_rewards.temporal import pull_id
from referral_rewards.vendors.access import Pull
from worker.schedules import keep
from workflows.source_pull import SourcePull

_OURS: Final = pull_id("")


class SourceSchedules:
    """Keeps the schedules in line with the configuration of this worker, for its task queue."""

    def __init__(self, client: Client, queue: str, pulls: Mapping[str, Pull]) -> None:
        self._client, self._queue, self._pulls = client, queue, pulls

    async def restore(self) -> list[str]:
        """Set every schedule that is missing or differs, and delete those of sources that are pulled no more. Return
        the sources concerned."""
        changed = [source for source in self._pulls if await self._set(source)]
        return changed + [
            source for source in await self._held() if source not in self._pulls and await self._end(source)
        ]

    async def trigger(self, source: str) -> None:
        """Have a source pulled now, after a pull that is under way; one that is not pulled is left alone."""
        if source not in self._pulls:
            return
        await self._set(source)
        await self._client.get_schedule_handle(pull_id(source)).trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)

    async def _set(self, source: str) -> bool:
        return await keep(self._client, pull_id(source), _schedule(source, self._pulls[source], self._queue))

    async def _held(self) -> list[str]:
        """Return the sources that Temporal holds a schedule of for our task queue."""
        return [
            each.id.removeprefix(_OURS)
            async for each in await self._client.list_schedules()
            if each.id.startswith(_OURS)
            and each.schedule is not None
            and (each.schedule.state.note or "").endswith(_on(self._queue))
        ]

    async def _end(self, source: str) -> bool:
        try:
            await self._client.get_schedule_handle(pull_id(source)).delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False  # by another relay, just now
        return True


def _on(queue: str) -> str:
    return f", on {queue}"


def _schedule(source: str, pull: Pull, queue: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            SourcePull.run,
            source,
            id=pull_id(source),
            task_queue=queue,
            static_summary=f"What {source} has to tell since the last time",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=pull.every)]),
        # The next pull asks for everything that a missed one would have.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=pull.every),
        state=ScheduleState(note=f"every {pull.every}{_on(queue)}"),
    )
