"""CPU per referral, including Postgres and Temporal, compared with a bare workflow of the same waits and activities."""

import asyncio
import json
import os
import sys
from pathlib import Path

from temporalio.client import Client

from bench import bare
from bench.meter import IDLE_SECONDS, Meter, recorded_pids
from bench.pace import Pace
from bench.profiling import Hotspot
from bench.report import Measurement, reaches
from bench.stage import Stage, lives_on, stage, workers
from referral_rewards.local.supervisor import Program, Supervisor

GOAL = 1.5
NOTE = (
    "CPU of PostgreSQL, Temporal, the workers and whoever tells facts and decides, less what they use when idle, over "
    "whole lives from invitation to the end of the watch. The bare workflow has the same timers, signals and remote "
    "activities; its two payouts are workflows of their own as ours are, so that the ratio is that of our rules and "
    "our database. `payouts as activities` is the ratio against one that pays by itself."
)
_QUEUE = "bare"


async def measure(data: Path, size: int) -> Measurement:
    """Measure CPU milliseconds per referral with ``size`` concurrent ones, ours and bare in turn; under three
    minutes."""
    async with stage(data) as its:
        spent = await _both(its, size)
        ours, beside, alone = (sum(each.values()) for each in spent)
        ratio = ours / beside if beside else float("inf")
        profile = [] if reaches(ratio, GOAL, "low") else await _profile(its, size)
    return Measurement(
        name="CPU per referral",
        unit="ms",
        size=size,
        ours=1000 * ours / size,
        bare=1000 * beside / size,
        ratio=ratio,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts={name: 1000 * seconds / size for name, seconds in spent[0].items() if name != "bare worker"},
        bare_parts={name: 1000 * spent[1][name] / size for name in ("Temporal", "bare worker", "driver")},
        variants={"payouts as activities": ours / alone if alone else float("inf")},
        profile=profile,
    )


async def _both(its: Stage, size: int) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Return CPU seconds by process for our referrals, for bare ones, and for bare ones that pay by themselves."""
    supervisor = Supervisor(its.data / "run" / "workers.json", print)
    try:
        await supervisor.start(*workers(its), _bare_worker(its))
        referrals, payouts, bare_worker = recorded_pids(its.data / "run" / "workers.json")
        meter = Meter(
            {
                "PostgreSQL": recorded_pids(its.data / "run" / "pids.json")[0],
                "Temporal": recorded_pids(its.data / "run" / "temporal.json")[0],
                "worker referrals": referrals,
                "worker payouts": payouts,
                "bare worker": bare_worker,
                "driver": os.getpid(),
            }
        )
        async with lives_on(its) as lives:
            client = await Client.connect(its.hosts.temporal)
            warm = max(1, size // 20)
            await asyncio.gather(
                lives.lived("warm-up", _names("w", warm), Pace.of(warm)),
                *(_bare(client, f"{beside}-w", warm, pays_itself=beside) for beside in (False, True)),
            )
            await meter.learn_idle(min(IDLE_SECONDS, 2.0 + size))
            begin = meter.read()
            await lives.lived("measured", _names("r", size), Pace.of(size))
            ours = meter.spent(begin)
            begin = meter.read()
            await _bare(client, "beside", size, pays_itself=False)
            beside = meter.spent(begin)
            begin = meter.read()
            await _bare(client, "alone", size, pays_itself=True)
            return ours, beside, meter.spent(begin)
    finally:
        await supervisor.stop()


async def _bare(client: Client, prefix: str, size: int, *, pays_itself: bool) -> None:
    await bare.lived(client, _QUEUE, _names(prefix, size), bare.Life(Pace.of(size), pays_itself))


async def _profile(its: Stage, size: int) -> list[Hotspot]:
    """Profile our busiest process by running some of the referrals again."""
    size = min(size, 20)
    found = its.data / "hotspots.json"
    supervisor = Supervisor(its.data / "run" / "profiled.json", print)
    try:
        referrals, payouts = workers(its)
        command = [sys.executable, "-m", "bench.profiled", str(found), "--role", "referrals"]
        await supervisor.start(
            payouts,
            Program(referrals.name, command, referrals.log, referrals.ready, referrals.env, None, referrals.before),
        )
        async with lives_on(its) as lives:
            await lives.lived("profiled", _names("p", size), Pace.of(size))
    finally:
        await supervisor.stop()
    return [Hotspot(**spot) for spot in json.loads(found.read_text())]


def _bare_worker(its: Stage) -> Program:
    ready_file = its.data / "run" / "bare.ready"

    async def polls() -> bool:
        return ready_file.exists()

    command = [sys.executable, "-m", "bench.bare", _QUEUE, str(ready_file)]
    return Program("bare worker", command, its.data / "logs" / "bare.log", polls, env=dict(its.common))


def _names(prefix: str, size: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(size)]
