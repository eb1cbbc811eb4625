"""Locks and transactions: the advisory locks in the order in which they may be taken, repeats after a deadlock, and
many values as one parameter.

A transaction takes locks from the top of the list downwards, and a referral's row after all of them except the ones
marked; so no two transactions can wait for each other in a circle.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from enum import IntEnum
from typing import Any, Final, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection


class Lock(IntEnum):
    """What is locked; the number is the lock's key space in Postgres."""

    SIGN_IN = 7107  # one name or address that somebody tries to sign in by; in a transaction that takes no other lock
    STATUS_PAGE = 7108  # one side of a referral that says something by its status page
    PROGRAMS = 7101  # shared by intake, exclusive to publishing: a version never slips in between two halves of a fact
    FACTS = 7102  # the keys of facts being recorded, spread over `domain.facts.keys.LOCKS`
    ORDER = 7103  # one order, while claims on it are assembled or approved (SPEC §5 Disputed attribution)
    RESERVATION = 7104  # one program's caps and budget, while an approval reserves; taken after the referral's row
    REWARDED_ORDER = 7106  # one order in any program, likewise: two programs must not both reward it unseen
    PAYEE = 7109  # what one payee is owed and owes, while a payout is planned; taken after the referral's row
    FIRST_ADMINISTRATOR = 7110  # whether there is one, while one is added without any
    DECISIONS = 7105  # the end of the decision chain; taken after the referral's row


async def lock(connection: AsyncConnection, kind: Lock, name: str = "") -> None:
    """Waits for the named lock and holds it until the transaction ends."""
    await connection.execute(_EXCLUSIVE, {"space": int(kind), "name": name})


async def lock_shared(connection: AsyncConnection, kind: Lock, name: str = "") -> None:
    """The same, beside other sharers."""
    await connection.execute(_SHARED, {"space": int(kind), "name": name})


_EXCLUSIVE = text("SELECT pg_advisory_xact_lock(:space, hashtext(:name))")
_SHARED = text("SELECT pg_advisory_xact_lock_shared(:space, hashtext(:name))")


def dump(value: Any) -> str:
    """A value as a JSON document."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def array(values: Iterable[str]) -> str:
    """Texts without control characters as an array literal: in both notations a quoted text escapes the same."""
    return f"{{{dump(list(values))[1:-1]}}}"


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
