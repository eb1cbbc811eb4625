"""Attempts to sign in that failed: guessing a password has to be slow, and must lock nobody else out.

A browser in which somebody signed in before has a pass of ours for that name, and counts for itself: whatever strangers
try elsewhere, that person signs in there. Attempts without a pass are counted by name and address together, by address,
and, far more of them, by name alone.

The second step, a code after the right password, counts together with passwords, so that a wrong code costs as much as
a wrong password. From everywhere together a name has far fewer attempts there, for a code has six digits; only whoever
knows the password can use them up.

Names, addresses and passes are kept as keyed hashes. An attempt counts as failed from its beginning, under a lock: ten
at once are ten, and whoever breaks off has failed.
"""

import hmac
import secrets
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
#: For one name from one address, and for one name in a browser that has a pass for it.
PER_NAME_MAX: Final = 5
#: For all names from one address.
PER_ADDRESS_MAX: Final = 20
#: For one name from all addresses together, without a pass. So many guesses find no password of twelve characters.
EVERYWHERE_MAX: Final = 100
#: For the codes of one name, likewise: three codes in a million are right at a time, so that guessing takes months.
CODES_EVERYWHERE_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that is under way; ``last``: by what it is the last one for a while, should it fail."""

    numbers: tuple[int, ...]
    last: tuple[str, ...]


def new_pass(marker: Marker, name: str) -> str:
    """Return a pass for a browser in which this person has just signed in."""
    nonce = secrets.token_hex(16)
    return f"{nonce}.{_sealed(marker, name, nonce)}"


async def begin(
    connection: AsyncConnection,
    marker: Marker,
    *,
    name: str,
    address: str,
    at: datetime,
    browsers_pass: str | None = None,
    of_code: bool = False,
) -> Attempt:
    """Counts an attempt, which `succeeded` takes back. ``of_code``: at the second step, after the right password.

    Raises:
        TooManyAttempts: if it failed too often already by one of the counts; then nothing is looked at.
    """
    limits = _limits(marker, name, normal_ip(address), browsers_pass or "", of_code)
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


def _limits(marker: Marker, name: str, address: str, browsers_pass: str, of_code: bool) -> dict[str, tuple[str, int]]:
    """Return the keys that an attempt is counted under, with how often each may fail."""
    nonce, _, seal = browsers_pass.partition(".")
    if hmac.compare_digest(seal.encode(), _sealed(marker, name, nonce).encode()):
        return {"name": (marker.mark("sign_in_pass", f"{nonce}\x00{name}"), PER_NAME_MAX)}
    return {
        "name": (marker.mark("sign_in_name", f"{address}\x00{name}"), PER_NAME_MAX),
        "address": (marker.mark("sign_in_address", address), PER_ADDRESS_MAX),
        "everywhere": (
            (marker.mark("sign_in_codes", name), CODES_EVERYWHERE_MAX)
            if of_code
            else (marker.mark("sign_in_everywhere", name), EVERYWHERE_MAX)
        ),
    }


def _sealed(marker: Marker, name: str, nonce: str) -> str:
    return marker.mark("browsers_pass", f"{nonce}\x00{name}")


_FAILED: Final = text("SELECT at FROM sign_in_failure WHERE key = :key AND at > :since ORDER BY at DESC LIMIT :most")
_COUNT: Final = text("INSERT INTO sign_in_failure (key, at) VALUES (:key, :at) RETURNING id")
_TAKE_BACK: Final = text("DELETE FROM sign_in_failure WHERE id = ANY(CAST(:numbers AS bigint[]))")
_FORGET: Final = text("DELETE FROM sign_in_failure WHERE at <= :since")
