"""Where words go may be closed or full: a command still ends with its own code and no traceback."""

import os
import subprocess
import sys

import pytest

LINT = "program lint programs/acme-friends.yaml"


@pytest.mark.parametrize(
    ("arguments", "redirected", "code", "told"),
    [
        (LINT, ">&-", 0, ""),
        ("program lint missing.yaml", "2>&-", 2, ""),
        ("--help", ">&- 2>&-", 0, ""),
        (LINT, ">/dev/full", 1, "No space left on device"),
    ],
)
def test_output_that_can_not_be_written_is_one_line_at_most(
    arguments: str, redirected: str, code: int, told: str
) -> None:
    command = f"{sys.executable} -m referral_rewards.cli.main {arguments} {redirected}"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=dict(os.environ), check=False)
    assert ran.returncode == code, ran.stderr
    assert told in ran.stderr
    assert len(ran.stderr.splitlines()) <= 1
