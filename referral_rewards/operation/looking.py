"""A look at what a process needs, that nobody waits for longer than a few seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

#: Seconds that a look may take before what it looks at counts as silent.
LOOK_SECONDS: Final = 5.0


class Look:
    """One look at a time.

    A server that was suspended answers nothing, not even the request to cancel. So a look that takes too long is not
    ended: it goes on beside, and until it ends what it looks at does not answer.
    """

    def __init__(self, at: str, look: Callable[[], Awaitable[str | None]], within_seconds: float | None = None) -> None:
        self._at = at
        self._look = look
        self._within_seconds = LOOK_SECONDS if within_seconds is None else within_seconds
        self._under_way: asyncio.Task[str | None] | None = None

    async def problem(self) -> str | None:
        """Return what is wrong, in one sentence; None if nothing is."""
        task = self._under_way = self._under_way or asyncio.ensure_future(self._taken())
        await asyncio.wait({task}, timeout=self._within_seconds)
        if not task.done():
            return f"{self._at} does not answer"
        self._under_way = None
        return task.result()

    async def _taken(self) -> str | None:
        return await self._look()

    async def close(self) -> None:
        """Give up a look that is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await asyncio.wait_for(self._under_way, 1)
