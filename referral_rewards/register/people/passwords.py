"""Passwords of local accounts: argon2id hashes, made and compared off the event loop, two at a time for the memory."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.errors import NotFound, RequestInvalid

LENGTH_MIN: Final = 12
#: Enough for any passphrase; hashing more would only cost time.
LENGTH_MAX: Final = 256

T = TypeVar("T")
_hasher: Final = PasswordHasher()
_workers: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")


def check(password: str, name: str) -> None:
    """Return if it can be this user's password.

    Raises:
        RequestInvalid: saying what would be right.
    """
    length = len(_normal(password))
    if length < LENGTH_MIN:
        raise RequestInvalid(f"a password has at least {LENGTH_MIN} characters; use a few words", "password")
    if length > LENGTH_MAX:
        raise RequestInvalid(f"a password has at most {LENGTH_MAX} characters", "password")
    if len(set(password)) < 4 or password.lower().replace(name.lower(), "").strip() == "":
        raise RequestInvalid("this password is too easy to guess; use a few words", "password")


async def hash_of(password: str) -> str:
    """What is kept of a password."""
    return await _off_the_loop(lambda: _hasher.hash(_normal(password)))


async def keep(connection: AsyncConnection, name: str, hashed: str | None) -> None:
    """Keeps the hash of a user's password in place of the one before; None: the user has no password any more.

    Raises:
        NotFound: if there is no such user.
    """
    if (await connection.execute(_KEEP, {"name": name, "hash": hashed})).scalar_one_or_none() is None:
        raise NotFound("user", name)


async def matches(database: Database, name: str, password: str) -> bool:
    """Whether it is the password of a user who may sign in.

    It takes as long for a name that nobody has. No connection is held meanwhile; a hash by older parameters is
    replaced.
    """
    async with database.reading() as connection:
        kept = (await connection.execute(_HASH, {"name": name})).scalar_one_or_none()
    candidate = password[: LENGTH_MAX * 2]
    right = await _off_the_loop(lambda: _verifies(kept or _nobodys(), candidate))
    if kept is None or not right:
        return False
    if _hasher.check_needs_rehash(kept):
        fresh = await hash_of(password)
        replaced = {"name": name, "before": kept, "hash": fresh}
        await database.write(lambda connection: connection.execute(_REPLACE, replaced))
    return True


def _verifies(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    """A hash like any other, that no password is known to have."""
    return _hasher.hash(_hasher.hash("nobody's"))


def _normal(password: str) -> str:
    """One encoding of what is typed alike on different keyboards."""
    return unicodedata.normalize("NFKC", password)


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_workers, work)


_HASH: Final = text("SELECT password_hash FROM app_user WHERE name = :name AND barred_at IS NULL")
_KEEP: Final = text("UPDATE app_user SET password_hash = :hash WHERE name = :name RETURNING name")
# Unless the password was changed meanwhile.
_REPLACE: Final = text("UPDATE app_user SET password_hash = :hash WHERE name = :name AND password_hash = :before")
