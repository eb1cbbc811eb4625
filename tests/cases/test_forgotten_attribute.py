"""A whole stack whose namespace forgot a search attribute."""

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

_FORGOTTEN: Final = "26-search-attribute-missing"
_ATTRIBUTE: Final = "ReferralStatus"


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
