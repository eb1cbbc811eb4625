"""Signs of life from an activity that may take long: whoever waits for it then learns soon that its worker died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from temporalio import activity

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
