"""Waiting until nothing moves: polled from the register, as `referrals ingest --wait` does."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from models.session import Database
from referral_rewards.local.demo.api import Api
from referral_rewards.local.demo.progress import Progress
from referral_rewards.reporting.referrals import at_rest

_POLL_SECONDS: Final = 0.2
_STEADY_SECONDS: Final = 1.0
_TOLD_EVERY: Final = 10


async def rest(database: Database, referrals: Sequence[str], progress: Progress, seconds: float = 60.0) -> None:
    """Returns once nothing happens to the referrals by itself any more; after so long it tells which still move."""
    told = len(referrals)
    try:
        async with asyncio.timeout(seconds):
            while True:
                _let_go()
                async with database.transaction() as connection:
                    moving = await at_rest.moving(connection, referrals)
                if not moving:
                    return
                if told - len(moving) >= _TOLD_EVERY:
                    told = len(moving)
                    progress.say(f"{told} of {len(referrals)} referrals are still being worked on")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        progress.say(f"still moving after {seconds:.0f} s: {', '.join(moving)}")


def _let_go() -> None:
    """Ends here if somebody has asked for it: the database driver waits by `asyncio.wait_for`, which in Python 3.11
    loses a cancellation that comes at the moment of an answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def listed_at_rest(api: Api, database: Database, progress: Progress) -> dict[str, dict[str, Any]]:
    """Every referral by its id, once nothing moves.

    A claim that wakes a competing one leaves no mark in the register until that one looks again: only a listing that
    stays the same for a while is at rest.
    """
    earlier: dict[str, dict[str, Any]] = {}
    while True:
        await rest(database, list(earlier or await api.referrals()), progress)
        listed = await api.referrals()
        if listed == earlier:
            return listed
        earlier = listed
        await asyncio.sleep(_STEADY_SECONDS)
