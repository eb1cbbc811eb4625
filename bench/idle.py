"""What open referrals cost while nothing happens: CPU and memory of the servers and workers with them and without."""

import asyncio
from pathlib import Path

import psutil

from bench.lives import Lives
from bench.meter import Meter, Reading, pids_of
from bench.pace import Pace
from bench.report import Measurement
from bench.stage import lives_on, stage, workers
from referral_rewards.local.supervisor import Supervisor

GOAL = 2.0
NOTE = (
    "Milliseconds of CPU that PostgreSQL, Temporal and both workers take in a second in which nothing happens, with so "
    "many open referrals that all wait for a deadline, against the same stage before it had any. MB are what each "
    "holds in memory then, and before: what its processes share is counted once (`pss`)."
)
_SECONDS = 30.0
_SLOWEST = 4


async def measure(data: Path, size: int) -> Measurement:
    """Measure an idle stage with ``size`` open referrals; five minutes for 10,000 where 40 are judged a second."""
    async with stage(data) as its:
        supervisor = Supervisor(its.data / "run" / "workers.json", print)
        try:
            await supervisor.start(*workers(its))
            pids = pids_of(its.data)
            async with lives_on(its) as lives:
                bare, held_before = await _idle(Meter(pids)), _megabytes(pids)
                await _filled(lives, size)
                ours, held = await _idle(Meter(pids)), _megabytes(pids)
        finally:
            await supervisor.stop()
    return Measurement(
        name="open referrals at rest",
        unit="ms CPU/s",
        size=size,
        ours=sum(ours.values()),
        bare=sum(bare.values()),
        ratio=sum(ours.values()) / sum(bare.values()),
        goal=GOAL,
        best="low",
        note=NOTE,
        parts={**ours, **held},
        bare_parts={**bare, **held_before},
    )


async def _filled(lives: Lives, size: int) -> None:
    year = 365.0 * 86400
    await lives.back_filled("resting", size, Pace(expiry=year, offer=year, return_=year, watch=year, pause=0.0))
    await lives.all_stand("resting", size, "invited", patience=120.0 + size / _SLOWEST)
    await asyncio.sleep(_SECONDS)  # what was begun comes to its end


async def _idle(meter: Meter) -> dict[str, float]:
    """Return the milliseconds of CPU that each process takes in a second."""
    begin: Reading = meter.read()
    await asyncio.sleep(_SECONDS)
    end = meter.read()
    return {name: 1000 * (end.seconds[name] - begin.seconds[name]) / (end.at - begin.at) for name in end.seconds}


def _megabytes(pids: dict[str, int]) -> dict[str, float]:
    return {f"{name} MB": _held(psutil.Process(pid)) / 1e6 for name, pid in pids.items()}


def _held(process: psutil.Process) -> int:
    """Return the bytes that a process and its children hold. PostgreSQL's children share its buffers: each has a part
    of them, where the system tells it (Linux)."""
    told = [each.memory_full_info() for each in (process, *process.children(recursive=True))]
    return sum(int(getattr(each, "pss", each.rss)) for each in told)
