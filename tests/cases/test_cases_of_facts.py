"""Cases of facts, from their files through the commands, on a whole stack that they share."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest

from referral_rewards.config.stack import local_stack
from referral_rewards.local.embedded import temporal_cli
from tests.cases.running import CASES, Stack, until

_REPORTED: Final = "48-report-of-an-order-nobody-sent"
_FORGOTTEN: Final = "26-search-attribute-missing"
_ATTRIBUTE: Final = "ReferralStatus"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_48_a_report_is_looked_into_after_the_closing_and_counts_once_the_source_confirms_it(
    running: Stack,
) -> None:
    await running.types("program", "publish", str(CASES / _REPORTED / "terms.yaml"))
    await running.types("ingest", str(CASES / _REPORTED / "facts.jsonl"), "--wait")
    (shown,) = await running.read("list", "--program", "c48")
    assert (shown["status"], shown["reason"], shown["conversion"]) == ("expired", "no_conversion", None)
    (entry,) = await running.read("queue", "--program", "c48")
    assert (entry["referral"], entry["exception"]) == ("c48-r1", "reported")
    assert "order c48-o1" in entry["about"]
    assert "Once it is on record, reopen the referral" in entry["to_do"]

    await running.types("ingest", str(CASES / _REPORTED / "facts-2.jsonl"), "--wait")
    (shown,) = await running.read("list", "--program", "c48")
    assert (shown["status"], shown["claim"]) == ("expired", None), (
        "a closed referral stays so until a person reopens it"
    )
    (entry,) = await running.read("queue", "--program", "c48")
    assert entry["exception"] == "late_fact"
    saying = ("--reason", "late_fact", "--note", "the till was connected in autumn", "--as", "paula")
    await running.types("reopen", "c48-r1", *saying)

    async def waits() -> bool:
        return [each["status"] for each in await running.read("list", "--program", "c48")] == ["awaiting_approval"]

    await until(waits)
    (shown,) = await running.read("list", "--program", "c48")
    assert shown["conversion"]["order"] == "c48-o1"
    assert {leg["role"]: leg["amount_minor"] for leg in shown["claim"]["legs"]} == {"referrer": 2500, "referee": 1000}
    assert shown["claim"]["flags"] == ["late_fact"]
    (entry,) = await running.read("queue", "--program", "c48")
    assert entry["exception"] == "approval"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.chaos  # the suite has the same on a server of its own: tests/worker/test_namespace.py
async def test_26_a_forgotten_search_attribute_is_named_and_all_goes_on_once_it_is_added(running: Stack) -> None:
    await running.types("program", "publish", str(CASES / _FORGOTTEN / "terms.yaml"))
    info = local_stack(running.data)
    assert info is not None
    async with _without_the_attribute(info.temporal), httpx.AsyncClient(base_url=info.api) as api:

        async def is_missed() -> bool:
            return (await api.get("/readyz")).status_code == 503

        await until(is_missed)
        command = f"temporal operator search-attribute create --name {_ATTRIBUTE} --type Keyword"
        assert command in (await api.get("/readyz")).json()["detail"]
        log = "".join(path.read_text() for path in sorted((running.data / "logs").glob("*.log")))
        assert "search_attributes_missing" in log
        assert command in log

        await running.types("ingest", str(CASES / _FORGOTTEN / "facts.jsonl"))
        (shown,) = await running.read("list", "--program", "c26")
        assert shown["status"] in (None, "invited"), "nothing is judged yet, and nothing is lost"

    async def is_whole() -> bool:
        async with httpx.AsyncClient(base_url=info.api) as api:
            return (await api.get("/readyz")).status_code == 200

    async def waits() -> bool:
        return [each["status"] for each in await running.read("list", "--program", "c26")] == ["awaiting_approval"]

    await until(is_whole)
    await until(waits)


@asynccontextmanager
async def _without_the_attribute(temporal: str) -> AsyncIterator[None]:
    await _operator(temporal, "remove", "--yes")
    try:
        yield
    finally:
        await _operator(temporal, "create", "--type", "Keyword")


async def _operator(temporal: str, act: str, *more: str) -> None:
    words: list[Any] = [temporal_cli(), "operator", "search-attribute", act, "--name", _ATTRIBUTE, *more]
    done = await asyncio.to_thread(
        subprocess.run, [*words, "--address", temporal], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
