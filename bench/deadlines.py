"""Thousands of referrals whose deadlines fall into one second, carried on by one worker process and then by three."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.lives import Lives
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
    "three worker processes against that of one, on this machine's cores."
)
_APPROVALS, _APPROVALS_ON_TRIAL = 10, 2
#: Invitations a second that any machine judges: their period must not end before they are all there.
_SLOWEST = 12


async def measure(data: Path, size: int) -> Measurement:
    """Measure closings per second of ``size`` invitations, twice; three quarters of an hour for 10,000."""
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
                first = await _closed(lives, "one", size, names[count : 2 * count])
                await more.start(*_more(its))
                second = await _closed(lives, "three", size, names[2 * count :])
        finally:
            await more.stop()
            await one.stop()
    arrived, closed, busy = first
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
        parts={"approval s": median(busy), "three workers /s": second[1]},
        bare_parts={"approval s": median(quiet), "three workers /s": second[0]},
        variants={"approval": median(busy) / median(quiet), "three workers": second[1] / closed},
    )


async def _closed(lives: Lives, program: str, size: int, waiting: Sequence[str]) -> tuple[float, float, list[float]]:
    """Return the invitations judged per second as they arrived, those closed per second after their common deadline,
    and the seconds of the approvals meanwhile.

    Raises:
        RuntimeError: if not every one of them is closed in the end.
    """
    expiry = 60.0 + size / _SLOWEST
    pace = Pace(expiry=expiry, offer=expiry, return_=2.0, watch=2.0, pause=0.0)
    began = time.perf_counter()
    ends_at = await lives.back_filled(program, size, pace)
    await lives.all_stand(program, size, "invited", patience=expiry)
    arrived = size / (time.perf_counter() - began)
    await lives.until(ends_at)
    began = time.perf_counter()
    closing = asyncio.create_task(lives.all_stand(program, size, "expired", patience=300.0 + size / _SLOWEST))
    busy = [await lives.approved_and_paid(name) for name in waiting]
    await closing
    return arrived, size / (time.perf_counter() - began), busy


def _more(its: Stage) -> list[Program]:
    """Return two more workers for referrals, beside the first."""
    (second, _), (third, _) = workers(its), workers(its)
    return [
        replace(each, name=f"{each.name} {number}", log=each.log.with_suffix(f".{number}.log"))
        for number, each in ((2, second), (3, third))
    ]
