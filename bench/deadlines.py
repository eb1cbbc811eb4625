"""Thousands of referrals whose deadlines fall into one second, carried on by one worker process and then by three."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.lives import Lives
from bench.meter import Meter, pids_of
from bench.pace import Pace
from bench.report import Measurement
from bench.stage import Stage, lives_on, stage, workers
from referral_rewards.local.supervisor import Program, Supervisor

GOAL = 0.5
NOTE = (
    "So many invitations end at one instant: closings per second from that instant until all are closed, against the "
    "rate at which the same workers judged the same invitations when they arrived. None may be lost. A closing waits "
    "up to a 720th of its period longer, two minutes at most, so that deadlines are spread. `approval` is the median "
    "of seconds from approval to payment meanwhile, against the same when all is quiet. `three workers` is the rate of "
    "three worker processes against that of one, on this machine's cores. `cores` are those that each took while the "
    "one worker closed them: whoever takes a whole one sets the pace, and all together can't take more than there are."
)
_APPROVALS, _APPROVALS_ON_TRIAL = 10, 2
#: So many invitations tell first how fast this machine judges them.
_TRIAL = 100
#: How many times as long as the trial says they may take to arrive: their period must not end before all are there.
_SLOWER = 3.0


async def measure(data: Path, size: int) -> Measurement:
    """Measure closings per second of ``size`` invitations, twice: in ten minutes 1,000 where 30 are judged a second."""
    count = _APPROVALS if size >= 1_000 else _APPROVALS_ON_TRIAL
    async with stage(data) as its:
        one, more = Supervisor(its.data / "run" / "workers.json", print), Supervisor(its.data / "run" / "m.json", print)
        try:
            await one.start(*workers(its))
            async with lives_on(its) as lives:
                names = [f"m{number}" for number in range(3 * count)]
                paced = Pace(expiry=10.0 + len(names), offer=600.0, return_=2.0, watch=86400.0, pause=0.0)
                await lives.brought_before_approvers("measured", names, paced)
                quiet = [await lives.approved_and_paid(name) for name in names[:count]]
                slowest = await _judged(lives, min(size, _TRIAL)) / _SLOWER
                meter = Meter(pids_of(its.data))
                first = await _closed(lives, "one", size, slowest, meter, names[count : 2 * count])
                await more.start(*_more(its))
                second = await _closed(lives, "three", size, slowest, meter, names[2 * count :])
        finally:
            await more.stop()
            await one.stop()
    arrived, closed, busy, cores = first
    return Measurement(
        name="deadlines in one second",
        unit="/s",
        size=size,
        ours=closed,
        bare=arrived,
        ratio=closed / arrived,
        goal=GOAL,
        best="high",
        note=NOTE,
        parts={"approval s": median(busy), "three workers /s": second[1], **cores},
        bare_parts={"approval s": median(quiet), "three workers /s": second[0]},
        variants={"approval": median(busy) / median(quiet), "three workers": second[1] / closed},
    )


async def _judged(lives: Lives, size: int) -> float:
    """Return how many invitations are judged per second as they arrive."""
    began = time.perf_counter()
    await lives.back_filled("trial", size)
    await lives.all_stand("trial", size, "invited")
    return size / (time.perf_counter() - began)


async def _closed(
    lives: Lives, program: str, size: int, slowest: float, meter: Meter, waiting: Sequence[str]
) -> tuple[float, float, list[float], dict[str, float]]:
    """Return the invitations judged per second as they arrived, those closed per second after their common deadline,
    the seconds of the approvals meanwhile, and the cores that each process took meanwhile.

    ``slowest`` is how many are judged per second at least: their period is as long as that takes.

    Raises:
        RuntimeError: if not every one of them is closed in the end.
    """
    expiry = 30.0 + size / slowest
    pace = Pace(expiry=expiry, offer=expiry, return_=2.0, watch=2.0, pause=0.0)
    began = time.perf_counter()
    ends_at = await lives.back_filled(program, size, pace)
    await lives.all_stand(program, size, "invited", patience=expiry)
    arrived = size / (time.perf_counter() - began)
    await lives.until(ends_at)
    began, before = time.perf_counter(), meter.read()
    closing = asyncio.create_task(lives.all_stand(program, size, "expired", patience=300.0 + size / slowest))
    busy = [await lives.approved_and_paid(name) for name in waiting]
    await closing
    took = time.perf_counter() - began
    cores = {f"{name} cores": spent / took for name, spent in meter.spent(before).items()}
    return arrived, size / took, busy, cores


def _more(its: Stage) -> list[Program]:
    """Return two more workers for referrals, beside the first."""
    (second, _), (third, _) = workers(its), workers(its)
    return [
        replace(each, name=f"{each.name} {number}", log=each.log.with_suffix(f".{number}.log"))
        for number, each in ((2, second), (3, third))
    ]
