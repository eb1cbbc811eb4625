"""The API holds to its own OpenAPI document, whatever is sent to it: a fuzzer reads the one and tries the other.

Schemathesis runs as a process of its own against the real API over a real database. It makes its cases from the
document alone, the same ones each time: examples, every boundary of every schema, random ones, and answers followed up.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import pytest

from referral_rewards.domain.programs.terms import Role
from referral_rewards.loopback import served
from tests.desk import Desk

#: They take the form of `/v1/payouts/{payout}/decisions`, whose every boundary is tried.
_ALIKE: Final = "/v1/(clawbacks|cycles)/.+/decisions"
#: What administrators alone may ask.
_OF_PEOPLE: Final = "/v1/(users|blocklist)"
_OF_SERVICES: Final = "/v1/(events|batches|tokens)"
_WITHOUT: Final = ("--exclude-path-regex", f"{_ALIKE}|{_OF_PEOPLE}")
_ONE_BY_ONE: Final = "examples,coverage,fuzzing"
_CONFIG: Final = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize(
    ("as_", "asked"),
    [
        pytest.param("olga", ["--phases", "examples,coverage", *_WITHOUT], marks=pytest.mark.chaos, id="an approver"),
        pytest.param(
            "olga", ["--phases", "fuzzing,stateful", *_WITHOUT], marks=pytest.mark.chaos, id="an approver, by chance"
        ),
        pytest.param("site", ["--phases", _ONE_BY_ONE, "--include-path-regex", _OF_SERVICES], id="a service"),
        pytest.param("ada", ["--phases", _ONE_BY_ONE, "--include-path-regex", _OF_PEOPLE], id="an administrator"),
        pytest.param(None, ["--phases", "examples"], id="nobody"),
    ],
)
@pytest.mark.timeout(600)
@pytest.mark.suite_has(1)
async def test_every_answer_is_one_that_the_document_foresees(
    desk: Desk, as_: str | None, asked: list[str], tmp_path: Path
) -> None:
    await desk.add_user("olga", Role.PROGRAM_OWNER, Role.FINANCE, Role.OPERATIONS)
    await desk.referral("db1")
    headers = ["--header", f"Authorization: Bearer {desk.tokens[as_]}"] if as_ else []
    # Read from a file: the fuzzer gives up on a document that a busy machine takes ten seconds to serve.
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(desk.app.openapi()))
    async with served(desk.app) as url:
        fuzzer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", f"--config-file={_CONFIG}"),
            *("run", str(document), "--url", url, *headers, "--checks", "all", *asked, "--mode", "all"),
            *("--max-examples", "4", "--generation-deterministic", "--no-color"),
            # How long anything takes on a busy machine is no finding.
            *("--request-timeout", "120", "--suppress-health-check", "too_slow"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await fuzzer.communicate()
    assert fuzzer.returncode == 0, said.decode()
