"""Profiles a process's CPU time by function, over all its threads."""

import cProfile
import pstats
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOP = 15


@dataclass(frozen=True)
class Hotspot:
    """A function and the CPU seconds spent in it, without the functions that it calls."""

    where: str
    calls: int
    seconds: float


@contextmanager
def profiled() -> Iterator[list[cProfile.Profile]]:
    """Profile this thread and the threads that start in the block. They must also end in the block."""
    profiles: list[cProfile.Profile] = []
    run = threading.Thread.run

    def profiled_run(thread: threading.Thread) -> None:
        with _profiled_thread(profiles):
            run(thread)

    threading.Thread.run = profiled_run  # type: ignore[assignment, method-assign]
    try:
        with _profiled_thread(profiles):
            yield profiles
    finally:
        threading.Thread.run = run  # type: ignore[method-assign]


def hotspots(profiles: list[cProfile.Profile]) -> list[Hotspot]:
    """Return the functions with the most time, slowest first."""
    found = pstats.Stats(profiles[0])
    found.add(*profiles[1:])
    spots = [
        Hotspot(_where(*function), calls, round(seconds, 4))
        for function, (_, calls, seconds, _, _) in found.stats.items()  # type: ignore[attr-defined]
    ]
    return sorted(spots, key=lambda spot: -spot.seconds)[:TOP]


@contextmanager
def _profiled_thread(profiles: list[cProfile.Profile]) -> Iterator[None]:
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.enable()
    except ValueError:  # from Python 3.12 on, one profile covers all threads
        yield
        return
    profiles.append(profile)
    try:
        yield
    finally:
        profile.disable()


def _where(file: str, line: int, function: str) -> str:
    return function if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line} {function}"
