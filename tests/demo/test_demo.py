"""`make demo`, as a person runs it: every referral of the cast comes to what was written by hand."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from referral_rewards.local.demo.script import Script

DEMO = [sys.executable, "-m", "referral_rewards.local.demo"]
CAST = len(Script.load().everybody)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_cast_comes_to_what_is_expected(tmp_path: Path) -> None:
    # What names another place is not followed: invented facts belong on the demo's own servers.
    elsewhere = {"REFERRALS_DATABASE_URL": "postgresql://nowhere/x", "TEMPORAL_ADDRESS": "nowhere:1"}
    done = subprocess.run(
        DEMO,
        capture_output=True,
        text=True,
        env={**os.environ, **elsewhere, "TMPDIR": str(tmp_path)},
        check=False,
        timeout=580,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("✗")] == []
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{CAST} of {CAST} referrals came to what was expected" in done.stdout
    assert "Temporal Web UI while it runs: http://127.0.0.1:" in done.stdout
    assert list(tmp_path.glob("referrals-demo-*")) == []


@pytest.mark.slow
@pytest.mark.chaos  # the suite interrupts a whole stack: tests/cli/test_first_touch.py
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert demo.stdout is not None
    while "referrals live through a year" not in (line := demo.stdout.readline()):
        assert line, "it ended early"
    children = psutil.Process(demo.pid).children(recursive=True)
    assert len(children) >= 5
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=120)
    assert (demo.returncode, said) == (130, "interrupted; everything is stopped and removed\n")
    assert not any(child.is_running() for child in children)
    assert list(tmp_path.glob("referrals-demo-*")) == []
