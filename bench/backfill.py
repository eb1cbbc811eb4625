"""From an approval to the payment while another program's facts are filled in, against the same when all is quiet."""

import asyncio
from pathlib import Path
from statistics import median, quantiles

from bench.lives import Lives
from bench.pace import Pace
from bench.report import Measurement
from bench.stage import lives_on, stage, workers
from referral_rewards.local.supervisor import Supervisor

GOAL = 2.0
NOTE = (
    "Seconds from a signed approval to both rewards on record as paid, one approval after another: the median of those "
    "while so many facts of another program are filled in, against the median when all is quiet. `p95` is that of the "
    "same. `left` is how much of the back-fill was still to be judged when the last payment was measured: if it is 0, "
    "the back-fill was too short to measure."
)
_PROGRAM, _FLOOD = "measured", "flood"
_APPROVALS, _APPROVALS_ON_TRIAL = 20, 3


async def measure(data: Path, size: int) -> Measurement:
    """Measure seconds from approval to payment during a back-fill of ``size`` facts; about five minutes for 20,000."""
    count = _APPROVALS if size >= 5_000 else _APPROVALS_ON_TRIAL
    async with stage(data) as its:
        supervisor = Supervisor(its.data / "run" / "workers.json", print)
        try:
            await supervisor.start(*workers(its))
            async with lives_on(its) as lives:
                quiet, busy, left = await _both(lives, count, size)
        finally:
            await supervisor.stop()
    return Measurement(
        name="approval to payment in a back-fill",
        unit="s",
        size=size,
        ours=median(busy),
        bare=median(quiet),
        ratio=median(busy) / median(quiet),
        goal=GOAL,
        best="low",
        note=NOTE,
        parts={"p95": quantiles(busy, n=20)[-1], "left": float(left)},
        bare_parts={"p95": quantiles(quiet, n=20)[-1]},
    )


async def _both(lives: Lives, count: int, size: int) -> tuple[list[float], list[float], int]:
    """Return the seconds of payments when all is quiet and in a back-fill, and how much of that was left at the end."""
    names = [f"m{number}" for number in range(2 * count + 1)]
    pace = Pace(expiry=10.0 + count, offer=600.0, return_=2.0, watch=3600.0, pause=0.0)
    await lives.brought_before_approvers(_PROGRAM, names, pace)
    warm, *rest = names
    await lives.approved_and_paid(warm)
    quiet = [await lives.approved_and_paid(name) for name in rest[:count]]
    filling = asyncio.create_task(lives.back_filled(_FLOOD, size))
    await lives.until_some_are_unjudged(_FLOOD)
    busy = [await lives.approved_and_paid(name) for name in rest[count:]]
    left = await lives.unjudged(_FLOOD)
    await filling
    return quiet, busy, left
