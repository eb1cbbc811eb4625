"""Children are restarted when they die, stopped in order, and never outlive their supervisor."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from referral_rewards.domain.errors import LocalStackError
from referral_rewards.local.supervisor import Child, Program, Supervisor, data_lock, end_recorded, record_pids

SLEEPS = "import time, pathlib, sys; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS


def _program(folder: Path, name: str, code: str = SLEEPS, stop_seconds: float = 60) -> Program:
    ready = folder / f"{name}.ready"

    async def is_ready() -> bool:
        return ready.exists()

    command = [sys.executable, "-c", code, str(ready)]
    log = folder / f"{name}.log"
    return Program(
        name, command, log, is_ready, before=lambda: ready.unlink(missing_ok=True), stop_seconds=stop_seconds
    )


def _pids(folder: Path) -> list[int]:
    return [int(pid) for pid in json.loads((folder / "pids.json").read_text())]


async def _until(holds: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _watched(folder: Path, said: list[str], *programs: Program) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(folder / "pids.json", said.append)
    try:
        await supervisor.start(*programs)
        watching = asyncio.create_task(supervisor.watch())
        yield supervisor
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    finally:
        await supervisor.stop()


async def test_a_dead_child_is_started_again_with_growing_pauses_and_said_so(tmp_path: Path) -> None:
    said: list[str] = []
    async with _watched(tmp_path, said, _program(tmp_path, "clerk")):
        for times in (1, 2):
            (pid,) = _pids(tmp_path)
            os.kill(pid, signal.SIGKILL)
            await _until(lambda before=pid: _pids(tmp_path) not in ([], [before]))  # type: ignore[misc]
            assert len(said) == times
    assert said == [
        "clerk ended with code -9; starting it again in 0.5 s",
        "clerk ended with code -9; starting it again in 1 s",
    ]


async def test_stages_stop_in_the_reverse_of_their_start(tmp_path: Path) -> None:
    code = "import signal, time, sys, pathlib; f = pathlib.Path(sys.argv[1]); " + (
        "signal.signal(signal.SIGTERM, lambda *_: (f.with_suffix('.end').write_text(str(time.time())), sys.exit())); "
        "f.touch(); time.sleep(600)"
    )
    supervisor = Supervisor(tmp_path / "pids.json", print)
    await supervisor.start(_program(tmp_path, "first", code))
    await supervisor.start(_program(tmp_path, "second", code))
    await supervisor.stop()
    first, second = (float((tmp_path / f"{name}.end").read_text()) for name in ("first", "second"))
    assert second < first
    assert not (tmp_path / "pids.json").exists()


async def test_a_child_that_ignores_the_request_is_killed_after_its_time(tmp_path: Path) -> None:
    child = Child.start(_program(tmp_path, "stubborn", STUBBORN, stop_seconds=0.3))
    await child.wait_ready()
    await child.stop()
    assert child.process.returncode == -signal.SIGKILL


async def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids.json", print)
    with pytest.raises(LocalStackError, match=r"clerk ended with code 3 .*no ink"):
        await supervisor.start(_program(tmp_path, "clerk", "import sys; print('no ink'); sys.exit(3)"))
    await supervisor.stop()


async def test_a_child_that_names_several_mistakes_is_reported_with_all_of_this_start(tmp_path: Path) -> None:
    for said in ("clerk: of yesterday", "clerk: no ink"):
        child = Child.start(_program(tmp_path, "clerk", f"print('clerk: no pen\\n{said}'); exit(2)"))
        with pytest.raises(LocalStackError) as refused:
            await child.wait_ready()
    whole = (
        f"clerk ended with code 2 before it was ready: clerk: no pen\nclerk: no ink (all of it in {child.program.log})"
    )
    assert str(refused.value) == whole


async def test_a_child_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    child = Child.start(_program(tmp_path, "clerk", "import time; time.sleep(600)"))
    with pytest.raises(LocalStackError, match="clerk was not ready within 0 s"):
        await child.wait_ready(seconds=0.2)
    await child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what is left")
async def test_children_end_with_their_supervisor_even_when_it_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_supervisor import _program
from referral_rewards.local.supervisor import Supervisor
async def main():
    await Supervisor(Path({str(tmp_path)!r}) / "pids.json", print).start(_program(Path({str(tmp_path)!r}), "clerk"))
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code]) as supervisor:
        await _until(lambda: (tmp_path / "clerk.ready").exists())
        (pid,) = _pids(tmp_path)
        supervisor.kill()
    await _until(lambda: _has_ended(pid))


def _has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_what_an_interrupted_run_recorded_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as left:
        record_pids(tmp_path / "pids.json", [left.pid])
        assert end_recorded(tmp_path / "pids.json") == 1
    assert not psutil.pid_exists(left.pid)
    assert end_recorded(tmp_path / "pids.json") == 0


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        began = psutil.Process(stranger.pid).create_time()
        (tmp_path / "pids.json").write_text(json.dumps({str(stranger.pid): began - 3600}))
        assert end_recorded(tmp_path / "pids.json") == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_folder_in_use_is_refused_naming_its_holder(data: Path) -> None:
    refused = pytest.raises(LocalStackError, match=rf"process {os.getpid()}.*--data")
    with data_lock(data, print), refused, data_lock(data, print):
        pass


def test_a_lock_left_by_an_interrupted_run_is_taken_over_and_said_so(data: Path) -> None:
    data.mkdir()
    (data / "lock").write_text("12345")
    said: list[str] = []
    with data_lock(data, said.append):
        pass
    assert said == [f"the last run on {data} (process 12345) was interrupted; taking over from it"]


def test_a_lock_that_was_let_go_cleanly_needs_no_words(data: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with data_lock(data, said.append):
            pass
    assert said == []
