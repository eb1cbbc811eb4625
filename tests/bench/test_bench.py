"""`python -m bench` runs, and its JSON says what was measured; how fast is another machine's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
#: A minute of CPU and more: `make chaos` runs it.
LONG = pytest.mark.chaos
PROCESSES = ("PostgreSQL", "Temporal", "worker referrals", "worker payouts")


@pytest.mark.parametrize(
    ("name", "size", "goal", "parts"),
    [
        pytest.param(
            *("cpu", 2, 1.5, {"PostgreSQL", "Temporal", "worker referrals", "worker payouts", "driver"}),
            marks=LONG,
        ),
        pytest.param("intake", 700, 0.3, {"PostgreSQL µs", "Python µs"}, marks=LONG),
        pytest.param(
            *("judging", 3000, 2, {"p95", "approving", "committing", "small", "big", "rivals", "ring", "crowd"}),
            marks=LONG,
        ),
        pytest.param("payouts", 2, 0.5, {"commits each", "statements each", "ms each"}, marks=LONG),
        pytest.param(
            *("cycle", 60, 1.5),
            {f"{phase} {unit}" for phase in ("gather", "freeze", "release", "book") for unit in ("µs", "MB")},
            marks=LONG,
        ),
        pytest.param(
            *("desk", 1500, 1.5, {"queue median", "claim median", "claim p95", "decisions/s", "approved/s"}),
            marks=LONG,
        ),
        pytest.param("backfill", 1000, 2, {"p95", "left"}, marks=LONG),
        pytest.param("outage", 5, 1, {"events", "events without an outage", "s to go on"}, marks=LONG),
        pytest.param(
            *("deadlines", 40, 0.5),
            {"approval s", "three workers /s", *(f"{name} cores" for name in PROCESSES)},
            marks=LONG,
        ),
        pytest.param(
            *("idle", 40, 2),
            {f"{name}{of}" for name in PROCESSES for of in ("", " MB")},
            marks=LONG,
        ),
        pytest.param("webhooks", 40, 0.5, {"p99 ms"}, marks=LONG),
        pytest.param("measures", 500, 2, {"median", "kept/s", "ms CPU a referral"}, marks=LONG),
    ],
)
def test_a_measurement_is_kept_with_its_ratio_its_goal_and_a_profile_if_missed(
    tmp_path: Path, name: str, size: int, goal: float, parts: set[str]
) -> None:
    command = [sys.executable, "-m", "bench", "--only", name, "--size", str(size), "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (kept,) = tmp_path.glob(f"{name}-*.json")
    (measured,) = json.loads(kept.read_text())["measurements"]
    assert (measured["size"], measured["goal"]) == (size, goal)
    assert measured["ratio"] == pytest.approx(measured["ours"] / measured["bare"])
    assert set(measured["parts"]) == parts
    # Where the time goes between processes no profile shows.
    assert measured["met"] is not bool(measured["profile"]) or name in ("backfill", "deadlines", "idle")
    assert f"{measured['ratio']:.2f}" in done.stdout


def test_a_measurement_that_does_not_exist_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--only", "luck"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 2
