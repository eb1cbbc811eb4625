"""The API's app, lent to one test after another: putting its routes together takes longer than most of what is asked.

All that an app knows of a test is its parts. A test that adds to an app makes one of its own with `create_app`.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from fastapi import FastAPI

from referral_rewards.api.app import create_app
from referral_rewards.api.dependencies import Parts
from referral_rewards.loopback import served

_idle: Final[list[FastAPI]] = []


@contextmanager
def lent(parts: Parts) -> Iterator[FastAPI]:
    """An app over these parts, which nobody else has for the length of the block. Its lifespan must not run."""
    app = _idle.pop() if _idle else create_app(parts)
    app.state.parts = parts
    yield app
    # Only what ended well goes back, without what belonged to the test.
    del app.state.parts
    _idle.append(app)


@asynccontextmanager
async def at_an_address(parts: Parts) -> AsyncIterator[str]:
    """The same, served on loopback; its address."""
    with lent(parts) as app:
        async with served(app) as url:
            yield url
