"""Runs the processes of the local stack: starts them, restarts what dies, stops them by pid.

A child never outlives its supervisor: Linux signals it when the supervisor's thread is gone, even by SIGKILL; elsewhere
the next start ends what the last one recorded. Children lead sessions of their own, so that a Ctrl-C on the terminal
reaches the supervisor alone, and the supervisor decides who stops first.

Processes must be started from the thread that lives as long as the supervisor does (the main one): Linux ties the
parting signal to the thread.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from referral_rewards.domain.errors import LocalStackError

Say = Callable[[str], None]
POLL_SECONDS, WATCH_SECONDS = 0.02, 0.1
RESTART_SECONDS_MIN, RESTART_SECONDS_MAX = 0.5, 30.0
LOG_BYTES_MAX = 20_000_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """One process of the stack: what to run, how to see that it is ready and how to ask it to stop."""

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] | None = None
    user: str | None = None
    before: Callable[[], None] = lambda: None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0


@dataclass
class Child:
    """A program with the process that now runs it."""

    program: Program
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, program: Program) -> "Child":
        program.before()
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists() and program.log.stat().st_size > LOG_BYTES_MAX:
            program.log.replace(program.log.with_suffix(".log.1"))
        with program.log.open("ab") as log:
            process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=program.env,
                **as_user(program.user),
                start_new_session=True,
                preexec_fn=_die_with_parent(program.stop_signal),
            )
        return cls(program, process)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    async def wait_ready(self, seconds: float = 180.0) -> None:
        """Returns once the program's own probe says so. Raises LocalStackError when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not await self.program.ready():
            if not self.alive:
                self._fail(f"ended with code {self.process.returncode} before it was ready")
            if time.monotonic() > deadline:
                self._fail(f"was not ready within {seconds:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Asks the process to stop, waits as long as it is entitled to, and kills what is left of it."""
        if self.alive:
            self.process.send_signal(self.program.stop_signal)
        deadline = time.monotonic() + self.program.stop_seconds
        while self.alive and time.monotonic() < deadline:  # noqa: ASYNC110  (no event tells of its end)
            await asyncio.sleep(POLL_SECONDS)
        if self.alive:
            self.process.kill()
            self.process.wait()

    def _fail(self, what: str) -> NoReturn:
        lines = self.program.log.read_text(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
        raise LocalStackError(f"{self.program.name} {what}: {last} (all of it in {self.program.log})")


class Supervisor:
    """The children in stages, in the order they were started, with their pids on record in a file."""

    def __init__(self, pids: Path, say: Say) -> None:
        self._pids = pids
        self._say = say
        self._stages: list[list[Child]] = []
        self._failures: dict[str, int] = {}

    async def start(self, *programs: Program) -> None:
        """Starts programs side by side as one stage and returns when each is ready."""
        stage: list[Child] = []
        self._stages.append(stage)
        for program in programs:
            stage.append(Child.start(program))
            self._record()
        await asyncio.gather(*(child.wait_ready() for child in stage))

    async def watch(self) -> None:
        """Restarts whatever dies, with growing pauses, until it is cancelled."""
        restarts: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                for stage in self._stages:
                    for place, child in enumerate(stage):
                        name = child.program.name
                        if not child.alive and (name not in restarts or restarts[name].done()):
                            restarts[name] = tasks.create_task(self._restart(stage, place))
                await asyncio.sleep(WATCH_SECONDS)

    async def stop(self) -> None:
        """Stops the stages, last one first; the programs of a stage stop side by side."""
        while self._stages:
            await asyncio.gather(*(child.stop() for child in self._stages[-1]))
            self._stages.pop()
        self._pids.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends everything at once, for a person who can't wait: each part is built to survive it."""
        for child in self._children:
            if child.alive:
                child.process.kill()

    @property
    def _children(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]

    async def _restart(self, stage: list[Child], place: int) -> None:
        dead = stage[place]
        name = dead.program.name
        # Whoever lived for a while begins anew with the shortest pause.
        failures = 1 if time.monotonic() - dead.started > RESTART_SECONDS_MAX else self._failures.get(name, 0) + 1
        self._failures[name] = failures
        pause = min(RESTART_SECONDS_MIN * 2 ** (failures - 1), RESTART_SECONDS_MAX)
        self._say(f"{name} ended with code {dead.process.returncode}; starting it again in {pause:g} s")
        await asyncio.sleep(pause)
        stage[place] = Child.start(dead.program)
        self._record()

    def _record(self) -> None:
        record_pids(self._pids, [child.process.pid for child in self._children])


def as_user(name: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a command under another user and nothing of our own groups."""
    return {} if name is None else {"user": name, "group": name, "extra_groups": ()}


def record_pids(path: Path, pids: Iterable[int]) -> None:
    """Writes pids with the time each process began: a pid alone may belong to somebody else tomorrow."""
    import psutil  # of the extra `local`, which a cluster's image lacks while its CLI still imports this module

    entries = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            entries[str(pid)] = psutil.Process(pid).create_time()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(entries))
    fresh.replace(path)  # whole or not at all: an interrupted run is ended by what stands here


def end_recorded(path: Path, seconds: float = 10.0) -> int:
    """Ends the processes that an interrupted run left behind; gives how many there were. Blocking."""
    import psutil

    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError):
        return 0
    left = []
    for pid, began in entries.items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(pid))
            if process.pid != os.getpid() and abs(process.create_time() - began) < 1:
                process.send_signal(signal.SIGINT)  # PostgreSQL takes it as "stop now, cleanly"; so do the others
                left.append(process)
    for process in psutil.wait_procs(left, timeout=seconds)[1]:
        process.kill()
    path.unlink(missing_ok=True)
    return len(left)


def _die_with_parent(signal_number: signal.Signals) -> Callable[[], None] | None:
    libc = _libc
    if libc is None:
        return None
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal_number))
        if os.getppid() != parent:  # the supervisor died between fork and this line: nobody would signal us any more
            os._exit(1)

    return ask_kernel


#: The file in a data folder that is locked.
LOCK: Final = "lock"


@contextmanager
def data_lock(data: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds `data`, made if need be, for the length of the block. Raises LocalStackError when another process does.

    The file names the holder's pid and is emptied at a clean end; a pid found in a file that nobody locks is a run that
    was interrupted, which `say` is told.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK).open("a+") as file:
        file.seek(0)
        holder = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalStackError(
                f"{data} is in use by another local stack (process {holder or 'unknown'}); "
                "stop that one, or choose another folder with --data"
            ) from None
        if holder:
            say(f"the last run on {data} (process {holder}) was interrupted; taking over from it")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
