"""An activity sends a heartbeat only after a pause: each is a call to the server, and is billed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities import moment
from activities.moment import Pulse, beating
from tests.patience import PATIENCE_SECONDS


async def _beats(work: Callable[..., Coroutine[Any, Any, None]], *given: Any) -> int:
    """How many heartbeats an activity sends."""
    sent = 0

    def count(*_: Any) -> None:
        nonlocal sent
        sent += 1

    environment = ActivityEnvironment()
    environment.on_heartbeat = count
    await environment.run(work, *given)
    return sent


async def test_a_block_that_ends_at_once_sends_none() -> None:
    async def work() -> None:
        async with beating():
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    assert await _beats(work) == 0


async def test_a_block_that_outlasts_the_pause_sends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "_EVERY_SECONDS", 0.001)
    environment, enough = ActivityEnvironment(), asyncio.Event()
    environment.on_heartbeat = lambda *_: enough.set()

    async def work() -> None:
        async with beating():
            await enough.wait()

    await asyncio.wait_for(environment.run(work), PATIENCE_SECONDS)


@pytest.mark.parametrize(("every_seconds", "expected"), [(3600.0, 0), (0.0, 3)])
async def test_steps_send_one_only_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, every_seconds: float, expected: int
) -> None:
    monkeypatch.setattr(moment, "_EVERY_SECONDS", every_seconds)

    async def work() -> None:
        pulse = Pulse()
        for _ in range(3):
            pulse.beat()

    assert await _beats(work) == expected


def test_outside_an_activity_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "_EVERY_SECONDS", 0.0)

    async def work() -> None:
        pulse = Pulse()
        pulse.beat()
        async with beating():
            await asyncio.sleep(0)

    asyncio.run(work())
