"""An activity's time and heartbeat: the latest time it may act as of, and the signal that it still runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

from temporalio import activity


def moment(asked: datetime) -> datetime:
    """Return ``asked``, the calling workflow's clock, but never later than the server scheduled this activity.

    Anyone with access to Temporal could run a workflow that calls our activities with a time of their choice, to end a
    period early or to date a payment into another year. Only our own workflows can call a local activity.
    """
    if not activity.in_activity() or activity.info().is_local:
        return asked
    return min(asked, activity.info().scheduled_time)


#: Well below the heartbeat timeouts that the workflows set.
_EVERY_SECONDS: Final = 5.0


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Send a heartbeat after each pause of a few seconds while the block runs; do nothing outside an activity or in a
    local one, whose worker tells the server by itself.

    A block that ends before the first pause sends none: each heartbeat is a call to the server, and is billed.
    """
    heart = asyncio.create_task(_beat()) if _is_awaited_by_the_server() else None
    try:
        yield
    finally:
        if heart is not None:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart


def _is_awaited_by_the_server() -> bool:
    return activity.in_activity() and not activity.info().is_local


async def _beat() -> None:
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        activity.heartbeat()


class Pulse:
    """The heartbeat of an activity that takes many short steps: `beat` after each of them.

    Unlike `beating` it stops when a step hangs, so the server soon has the activity run again elsewhere.
    """

    def __init__(self) -> None:
        self._last = asyncio.get_running_loop().time()

    def beat(self) -> None:
        """Send a heartbeat if some seconds have passed since the last one, or since the activity began."""
        now = asyncio.get_running_loop().time()
        if activity.in_activity() and now - self._last >= _EVERY_SECONDS:
            self._last = now
            activity.heartbeat()
