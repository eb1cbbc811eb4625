"""Repeats a transaction that Postgres ended because it and another waited for each other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError

#: deadlock_detected and serialization_failure: the same again succeeds.
_AGAIN: Final = frozenset({"40P01", "40001"})
_ATTEMPTS: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.02

T = TypeVar("T")


async def retrying(work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` returns, which does everything in a transaction of its own and may be called again."""
    for attempt in range(_ATTEMPTS):
        try:
            return await work()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _AGAIN or attempt + 1 == _ATTEMPTS:
                raise
        await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the last attempt returns or raises")
