"""Advisory locks in the order in which they may be taken, and lists as one SQL parameter.

A transaction takes locks from the top of the list downwards. It locks a referral's row after all of them, except
those marked "taken after the referral's row". So no two transactions can deadlock on them.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from enum import IntEnum, unique
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import BeginAgain

#: The number of locks that payees share, taken in ascending order: one file may concern very many payees.
_PAYEE_LOCKS: Final = 64


@unique
class Lock(IntEnum):
    """What is locked; the number is the lock's key space in Postgres."""

    SIGN_IN = 7107  # one user name or address that tries to sign in; its transaction takes no other lock
    STATUS_PAGE = 7108  # one side of a referral, while its status page is used to send us something
    PROGRAMS = 7101  # shared by intake, exclusive for publishing: no version appears while a fact is being recorded
    FACTS = 7102  # the keys of facts being recorded, spread over `domain.facts.keys.LOCKS`
    ORDER = 7103  # one order, while claims on it are assembled or approved (SPEC §5 Disputed attribution)
    PROGRAM_LIFE = 7111  # one program's pauses and end: shared while a payment is committed; taken with rows of money
    RESERVATION = 7104  # one program's caps and budget, while an approval reserves; taken after the referral's row
    REWARDED_ORDER = 7106  # one order across programs, likewise: two programs must not both reward it unnoticed
    PAYEE = 7109  # what one payee is owed and owes, while a payout is planned; taken after the referral's row
    FIRST_ADMINISTRATOR = 7110  # whether there is one, while one is added without any
    RESTORE = 7112  # that the register was restored, while it is recorded; taken alone
    MEASURES = 7113  # the contributions to the measures, while some are brought up to date; taken alone
    DECISIONS = 7105  # the end of the decision chain; taken after the referral's row


async def lock(connection: AsyncConnection, kind: Lock, name: str = "") -> None:
    """Wait for the named lock and hold it until the transaction ends."""
    await connection.execute(_EXCLUSIVE, {"space": int(kind), "name": name})


async def lock_shared(connection: AsyncConnection, kind: Lock, name: str = "") -> None:
    """Wait for the named lock in shared mode and hold it until the transaction ends."""
    await connection.execute(_SHARED, {"space": int(kind), "name": name})


async def lock_each(connection: AsyncConnection, names: Sequence[tuple[Lock, str]]) -> None:
    """Wait for the named locks, one after the other in this order, and hold them until the transaction ends."""
    if names:
        spaces = [int(kind) for kind, _ in names]
        await connection.execute(_EACH, {"spaces": spaces, "names": [name for _, name in names]})


def payee_locks(payees: Iterable[str]) -> list[tuple[Lock, str]]:
    """Return the locks of these payees in the order in which they are taken."""
    numbers = sorted({zlib.crc32(payee.encode()) % _PAYEE_LOCKS for payee in payees})
    return [(Lock.PAYEE, str(number)) for number in numbers]


class LockTaken(BeginAgain):
    """Somebody holds a lock that must not be waited for here: the transaction is rolled back and begins again."""


async def lock_all_at_once(connection: AsyncConnection, kind: Lock, numbers: Iterable[int]) -> None:
    """Hold the numbered locks until the transaction ends, without waiting: the caller holds locks that come later.

    Raises:
        LockTaken: if another transaction holds one of them.
    """
    got = await connection.execute(_WITHOUT_WAITING, {"space": int(kind), "numbers": list(numbers)})
    if not got.scalar_one():
        raise LockTaken(f"{kind.name} is held by another transaction")


_WITHOUT_WAITING = text("""
SELECT coalesce(bool_and(pg_try_advisory_xact_lock(:space, number)), true)
FROM unnest(CAST(:numbers AS int[])) AS number
""")
_EXCLUSIVE = text("SELECT pg_advisory_xact_lock(:space, hashtext(:name))")
_SHARED = text("SELECT pg_advisory_xact_lock_shared(:space, hashtext(:name))")
_EACH = text("""
SELECT pg_advisory_xact_lock(space, hashtext(name))
FROM unnest(CAST(:spaces AS int[]), CAST(:names AS text[])) AS asked(space, name)
""")


def dump(value: Any) -> str:
    """Return a value as a JSON document."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def array(values: Iterable[str]) -> str:
    """Return strings as a Postgres array literal.

    The strings hold no control characters; without those, JSON and Postgres escape a quoted string the same way.
    """
    return f"{{{dump(list(values))[1:-1]}}}"
