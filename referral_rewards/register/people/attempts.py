"""Attempts to sign in that failed, counted per name and per address: guessing a password has to be slow.

Names and addresses are kept as keyed hashes. An attempt counts as failed from its beginning, under a lock: ten at once
are ten, and whoever breaks off has failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import TooManyAttempts
from referral_rewards.domain.facts.identity import Marker, normal_ip
from referral_rewards.register.locks import Lock, lock

WINDOW: Final = timedelta(minutes=15)
PER_NAME_MAX: Final = 5
PER_ADDRESS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that is under way; ``last``: by what it is the last one for a while, should it fail."""

    numbers: tuple[int, ...]
    last: tuple[str, ...]


async def begin(connection: AsyncConnection, marker: Marker, *, name: str, address: str, at: datetime) -> Attempt:
    """Counts an attempt, which `succeeded` takes back.

    Raises:
        TooManyAttempts: if this name or this address failed too often already; then nothing is looked at.
    """
    limits = {
        "name": (marker.mark("sign_in_name", name), PER_NAME_MAX),
        "address": (marker.mark("sign_in_address", normal_ip(address)), PER_ADDRESS_MAX),
    }
    last, waits = [], []
    for key in sorted(key for key, _ in limits.values()):
        await lock(connection, Lock.SIGN_IN, key)
    for by, (key, maximum) in limits.items():
        failed: Sequence[datetime] = (
            (await connection.execute(_FAILED, {"key": key, "since": at - WINDOW, "most": maximum})).scalars().all()
        )
        if len(failed) >= maximum:
            waits.append(failed[-1] + WINDOW - at)
        elif len(failed) == maximum - 1:
            last.append(by)
    if waits:
        raise TooManyAttempts(max(1, ceil(max(waits).total_seconds())))
    numbers = [(await connection.execute(_COUNT, {"key": key, "at": at})).scalar_one() for key, _ in limits.values()]
    return Attempt(tuple(numbers), tuple(last))


async def succeeded(connection: AsyncConnection, attempt: Attempt) -> None:
    """Takes this attempt back, and none before it: who knows one password does not clear the guesses at others."""
    await connection.execute(_TAKE_BACK, {"numbers": list(attempt.numbers)})


async def forget_old(connection: AsyncConnection, at: datetime) -> None:
    """Deletes what no longer counts."""
    await connection.execute(_FORGET, {"since": at - WINDOW})


_FAILED: Final = text("SELECT at FROM sign_in_failure WHERE key = :key AND at > :since ORDER BY at DESC LIMIT :most")
_COUNT: Final = text("INSERT INTO sign_in_failure (key, at) VALUES (:key, :at) RETURNING id")
_TAKE_BACK: Final = text("DELETE FROM sign_in_failure WHERE id = ANY(CAST(:numbers AS bigint[]))")
_FORGET: Final = text("DELETE FROM sign_in_failure WHERE at <= :since")
