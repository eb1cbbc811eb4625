"""Runs the processes of the local stack: starts them, restarts those that die, and stops them by pid.

A child never outlives its supervisor: Linux signals it when the supervisor's thread ends, even by SIGKILL; elsewhere
the next start ends the processes that the last one recorded. Each child has its own session, so that a Ctrl-C on the
terminal reaches only the supervisor, which decides the order of stopping.

Start processes from the thread that lives as long as the supervisor (the main one): Linux ties the death signal to the
thread.
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
from itertools import takewhile
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
    """One program of the stack: what to run, how to check that it is ready, and how to stop it."""

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
    """A program with the process that currently runs it."""

    program: Program
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    log_begins: int = 0  # where in the log its own lines begin, in bytes

    @classmethod
    def start(cls, program: Program) -> "Child":
        program.before()
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists() and program.log.stat().st_size > LOG_BYTES_MAX:
            program.log.replace(program.log.with_suffix(".log.1"))
        begins = program.log.stat().st_size if program.log.exists() else 0
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
        return cls(program, process, log_begins=begins)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    async def wait_ready(self, seconds: float = 180.0) -> None:
        """Wait until the program's probe succeeds. Raises LocalStackError if the process ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not await self.program.ready():
            if not self.alive:
                self._fail(f"ended with code {self.process.returncode} before it was ready")
            if time.monotonic() > deadline:
                self._fail(f"was not ready within {seconds:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Ask the process to stop, wait for the program's grace period, and kill what remains."""
        if self.alive:
            self.process.send_signal(self.program.stop_signal)
        deadline = time.monotonic() + self.program.stop_seconds
        while self.alive and time.monotonic() < deadline:  # noqa: ASYNC110  (no event tells of its end)
            await asyncio.sleep(POLL_SECONDS)
        if self.alive:
            self.process.kill()
            self.process.wait()

    def _fail(self, what: str) -> NoReturn:
        written = self.program.log.read_bytes()[self.log_begins :].decode(errors="replace").splitlines()
        told = "\n".join(_last_problems([line.strip() for line in written if line.strip()])) or "it wrote nothing"
        raise LocalStackError(f"{self.program.name} {what}: {told} (all of it in {self.program.log})")


def _last_problems(lines: Sequence[str]) -> Sequence[str]:
    """Return the last line, and those right before it that the same process told as problems (``worker: …``) too: of
    several mistakes in its settings all are named, each on a line of its own, and each once."""
    if not lines:
        return ()
    who, colon, _ = lines[-1].partition(": ")
    if not colon or " " in who:
        return lines[-1:]
    told = list(takewhile(lambda line: line.startswith(f"{who}: "), reversed(lines)))
    return tuple(dict.fromkeys(reversed(told)))


class Supervisor:
    """The children in stages, in the order of their start. Their pids are recorded in a file."""

    def __init__(self, pids: Path, say: Say) -> None:
        self._pids = pids
        self._say = say
        self._stages: list[list[Child]] = []
        self._failures: dict[str, int] = {}

    async def start(self, *programs: Program) -> None:
        """Start programs together as one stage, and return when all are ready."""
        stage: list[Child] = []
        self._stages.append(stage)
        for program in programs:
            stage.append(Child.start(program))
            self._record()
        await asyncio.gather(*(child.wait_ready() for child in stage))

    async def watch(self) -> None:
        """Restart processes that die, with growing pauses, until cancelled."""
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
        """Stop the stages, the last one first. The programs of a stage stop together."""
        while self._stages:
            await asyncio.gather(*(child.stop() for child in self._stages[-1]))
            self._stages.pop()
        self._pids.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill all processes at once, for a user who cannot wait. Each part is built to survive it."""
        for child in self._children:
            if child.alive:
                child.process.kill()

    @property
    def _children(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]

    async def _restart(self, stage: list[Child], place: int) -> None:
        dead = stage[place]
        name = dead.program.name
        # After a process has lived for a while, its pauses start again with the shortest.
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
    """Return the arguments of `subprocess` that run a command as another user, without our own groups."""
    return {} if name is None else {"user": name, "group": name, "extra_groups": ()}


def record_pids(path: Path, pids: Iterable[int]) -> None:
    """Write the pids with each process's start time: the system may reuse a pid for another process."""
    import psutil  # from the extra `local`; a cluster's image lacks it, but its CLI imports this module

    entries = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            entries[str(pid)] = psutil.Process(pid).create_time()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(entries))
    fresh.replace(path)  # atomically: the next start ends an interrupted run by this file


def end_recorded(path: Path, seconds: float = 10.0) -> int:
    """End the processes that an interrupted run left behind, and return how many there were. Blocking."""
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
                process.send_signal(
                    signal.SIGINT
                )  # all our programs shut down cleanly on it; PostgreSQL ends its sessions
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
        if os.getppid() != parent:  # the supervisor died between fork and this line, so no signal would come
            os._exit(1)

    return ask_kernel


#: The lock file in a data folder.
LOCK: Final = "lock"


@contextmanager
def data_lock(data: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Lock `data` for the length of the block, and create it if necessary. Raises LocalStackError if another process
    holds the lock.

    The lock file holds the pid and is emptied at a clean end. A pid in an unlocked file means an interrupted run, which
    `say` reports.
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
