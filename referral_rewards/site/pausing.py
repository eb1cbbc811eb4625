"""How the work in the background goes on: step by step, with a pause that a bell ends; no fault ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from referral_rewards.site.parts import POLL_SECONDS, Parts

_log = structlog.get_logger("site")


async def step_by_step(parts: Parts, name: str, step: Callable[[Parts], Awaitable[bool]]) -> None:
    """Repeat a step until cancelled. It returns whether there may be more to do at once."""
    bell = asyncio.Event()
    parts.bells.append(bell)
    while True:
        bell.clear()  # what rings during the step is heard after it
        try:
            more = await step(parts)
        except Exception as error:
            # A disk that is full, a bug: it is told and tried again. Nothing that waits is lost by it.
            _log.error("work_failed", work=name, error=type(error).__name__)
            more = False
        if not more:
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), POLL_SECONDS)
