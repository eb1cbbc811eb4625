"""The Temporal Schedules that open payout cycles: one for each program that pays in cycles.

A schedule is only a clock: which cycle is due follows from the register. A schedule that is missing or older than the
terms is set again, and the cycle that fell due meanwhile is opened.
The schedules that pull sources are kept in the same way (`source_schedules`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from models.session import Database
from referral_rewards.domain.cycles.grouping import OPENS
from referral_rewards.domain.programs.terms import PayoutCycle
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles.rows import Timing
from referral_rewards.temporal import cycle_schedule_id
from workflows.payout_cycle import PayoutCycleDue

_SHORTEST_MONTH: Final = 28
_LONG_MONTHS: Final = (1, 3, 5, 7, 8, 10, 12)
_SHORT_MONTHS: Final = (4, 6, 9, 11)


class Schedules:
    """Keeps the schedules in line with the terms in force."""

    def __init__(self, database: Database, client: Client, queue: str) -> None:
        self._database = database
        self._client = client
        self._queue = queue

    async def restore(self, now: datetime) -> list[str]:
        """Set every schedule that is missing or differs from the terms in force. Return the programs concerned."""
        async with self._database.reading() as connection:
            programs = await cycles.paying_in_cycles(connection)
        return [program for program in programs if await self.set(program, now)]

    async def set(self, program: str, now: datetime) -> bool:
        """Set a program's schedule from the terms in force, and open the cycle that fell due without it. Return whether
        the schedule had to be set."""
        async with self._database.reading() as connection:
            timing = await cycles.timing(connection, program, now)
        if timing is None or not await self._set(program, timing):
            return False
        await self._database.write(cycles.open_due, program, now)
        return True

    async def _set(self, program: str, timing: Timing) -> bool:
        return await keep(self._client, cycle_schedule_id(program), _schedule(program, timing, self._queue))


async def keep(client: Client, name: str, wanted: Schedule) -> bool:
    """Have Temporal hold a schedule as wanted. Return whether it had to be set. One that is paused stays paused."""
    handle = client.get_schedule_handle(name)
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        try:
            await client.create_schedule(name, wanted)
        except ScheduleAlreadyRunningError:
            return False  # by another relay, just now
        return True
    if _as_wanted(found, wanted):
        return False
    # A paused schedule was paused on purpose and stays paused.
    paused = found.schedule.state.paused

    def changed(_: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state.paused = paused
        return ScheduleUpdate(wanted)

    await handle.update(changed)
    return True


def calendars(cycle: PayoutCycle) -> Sequence[ScheduleCalendarSpec]:
    """Return when the schedule fires. In some Februaries it fires once too often, and the extra time opens nothing."""
    if cycle.cycle == "weekly":
        return [_at_its_hour(day_of_week=[ScheduleRange(cycle.day % 7)])]
    if cycle.day <= _SHORTEST_MONTH:
        return [_at_its_hour(day_of_month=[ScheduleRange(cycle.day)])]
    return [
        _at_its_hour(day_of_month=[ScheduleRange(cycle.day)], month=list(map(ScheduleRange, _LONG_MONTHS))),
        _at_its_hour(day_of_month=[ScheduleRange(min(cycle.day, 30))], month=list(map(ScheduleRange, _SHORT_MONTHS))),
        _at_its_hour(day_of_month=[ScheduleRange(28, 29)], month=[ScheduleRange(2)]),
    ]


def _at_its_hour(**on: Any) -> ScheduleCalendarSpec:
    return ScheduleCalendarSpec(hour=[ScheduleRange(OPENS.hour)], minute=[ScheduleRange(OPENS.minute)], **on)


def _schedule(program: str, timing: Timing, queue: str) -> Schedule:
    said = f"{timing.cycle.cycle} on day {timing.cycle.day} in {timing.terms.timezone}, version {timing.version}"
    return Schedule(
        action=ScheduleActionStartWorkflow(
            PayoutCycleDue.run,
            program,
            id=f"payout-cycle-due-{program}",
            task_queue=queue,
            static_summary=f"Opens the payout cycle of {program}",
        ),
        spec=ScheduleSpec(calendars=calendars(timing.cycle), time_zone_name=timing.terms.timezone),
        state=ScheduleState(note=f"{said}, on {queue}"),
    )


def _as_wanted(found: ScheduleDescription, wanted: Schedule) -> bool:
    """Whether a schedule is up to date. Its note holds everything it was made from."""
    return found.schedule.state.note == wanted.state.note
