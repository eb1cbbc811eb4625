"""CPU seconds of groups of processes, less what each spends when idle."""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

IDLE_SECONDS = 8.0


@dataclass(frozen=True)
class Reading:
    at: float
    seconds: Mapping[str, float]


class Meter:
    """Reads the CPU time of named processes with their children, dead ones included; for our own, without children."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._idle = dict.fromkeys(pids, 0.0)

    def read(self) -> Reading:
        return Reading(time.monotonic(), {name: _seconds(process) for name, process in self._processes.items()})

    async def learn_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Measure the idle cost: polling and housekeeping without work."""
        begin = self.read()
        await asyncio.sleep(seconds)
        end = self.read()
        self._idle = {name: (end.seconds[name] - begin.seconds[name]) / (end.at - begin.at) for name in self._processes}

    def spent(self, begin: Reading) -> dict[str, float]:
        """Return CPU seconds since ``begin``, less the idle cost of that time."""
        end = self.read()
        return {
            name: max(0.0, end.seconds[name] - begin.seconds[name] - self._idle[name] * (end.at - begin.at))
            for name in self._processes
        }


def pids_of(data: Path) -> dict[str, int]:
    """Return the pids of a stage's servers and of its two workers, by their names."""
    referrals, payouts = recorded_pids(data / "run" / "workers.json")
    return {
        "PostgreSQL": recorded_pids(data / "run" / "pids.json")[0],
        "Temporal": recorded_pids(data / "run" / "temporal.json")[0],
        "worker referrals": referrals,
        "worker payouts": payouts,
    }


def recorded_pids(path: Path) -> list[int]:
    """Return the pids that a supervisor recorded, in the order of their start."""
    return [int(pid) for pid in json.loads(path.read_text())]


def _seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its descendants: of living ones directly, of dead ones from their
    parents."""
    if process.pid == os.getpid():
        times = process.cpu_times()
        return float(times.user + times.system)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return float(total)
