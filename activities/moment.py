"""What an activity knows of its own execution: the moment it may act on, and the heartbeat that says it still runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

from temporalio import activity


def moment(asked: datetime) -> datetime:
    """``asked``, the clock of the workflow that asks, and never later than the server put the step on its queue.

    Whoever may use Temporal could have a workflow of their own ask for one of our steps as of a moment they like: to
    end a period before its time, or to date a payment into another year. A local activity is asked for by ours alone.
    """
    if not activity.in_activity() or activity.info().is_local:
        return asked
    return min(asked, activity.info().scheduled_time)


#: Well within the heartbeat timeouts that workflows ask for.
_EVERY_SECONDS: Final = 5.0


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Gives signs of life for the length of the block, where it is an activity's."""
    heart = asyncio.create_task(_beat()) if activity.in_activity() else None
    try:
        yield
    finally:
        if heart is not None:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_EVERY_SECONDS)
