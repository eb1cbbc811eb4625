"""Who may ask something of us: people with roles, services with scopes, and the tokens they show."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import TokenRow, UserRow
from referral_rewards.domain.approval import Approver
from referral_rewards.domain.errors import NotAllowed, NotFound, NotSignedIn, RequestInvalid
from referral_rewards.domain.terms import Role

#: Tokens begin so, to be found by whoever scans for leaked secrets.
TOKEN_PREFIX: Final = "rrt_"  # noqa: S105 (a prefix, no secret)


class Scope(StrEnum):
    """What a service may do."""

    EVENTS_WRITE = "events:write"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody signed in, with the roles and scopes held at this moment."""

    name: str
    roles: frozenset[Role]
    scopes: frozenset[Scope]
    marks: frozenset[str]

    @property
    def approver(self) -> Approver:
        return Approver(self.name, self.roles, self.marks)

    def need_scope(self, scope: Scope) -> None:
        """Return if the user holds the scope.

        Raises:
            NotAllowed: if not.
        """
        if scope not in self.scopes:
            raise NotAllowed(f"{self.name} lacks the scope {scope}")

    def need_a_role(self) -> None:
        """Return if the user is a person with any role: services write facts and read nothing.

        Raises:
            NotAllowed: if not.
        """
        if not self.roles:
            raise NotAllowed(f"{self.name} has no role, which reading referrals and claims needs")


async def add(
    connection: AsyncConnection,
    name: str,
    *,
    roles: Collection[Role] = (),
    scopes: Collection[Scope] = (),
    marks: Collection[str] = (),
    at: datetime,
) -> str:
    """Adds a user and returns the token, which is kept nowhere: the register holds its hash.

    Raises:
        RequestInvalid: if the name is taken.
    """
    if (await connection.execute(_EXISTS, {"name": name})).scalar_one():
        raise RequestInvalid(f"there is a user {name!r} already", "NAME")
    await connection.execute(
        insert(UserRow).values(
            name=name, roles=sorted(roles), scopes=sorted(scopes), marks=sorted(marks), created_at=at, barred_at=None
        )
    )
    return await new_token(connection, name, at=at)


async def new_token(connection: AsyncConnection, name: str, *, at: datetime) -> str:
    """A further token for a user there is."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await connection.execute(
        insert(TokenRow).values(id=uuid4(), username=name, token_hash=_hash(token), created_at=at, revoked_at=None)
    )
    return token


async def exists(connection: AsyncConnection, name: str) -> bool:
    """Whether there is a user of that name, barred or not."""
    return bool((await connection.execute(_EXISTS, {"name": name})).scalar_one())


async def bar(connection: AsyncConnection, name: str, *, at: datetime) -> None:
    """Takes every authority from a user, at once: tokens stop working, and what they approved is not sent.

    Raises:
        NotFound: if there is no such user.
    """
    if (await connection.execute(_BAR, {"name": name, "at": at})).scalar_one_or_none() is None:
        raise NotFound("user", name)


async def signed_in(connection: AsyncConnection, token: str) -> User:
    """The user whose token this is.

    Raises:
        NotSignedIn: if it is nobody's, was revoked, or its user was barred.
    """
    row = (await connection.execute(_BY_TOKEN, {"hash": _hash(token)})).one_or_none()
    if row is None:
        raise NotSignedIn("the token is not valid")
    return User(
        row.name,
        frozenset(Role(role) for role in row.roles),
        frozenset(Scope(scope) for scope in row.scopes),
        frozenset(row.marks),
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


_EXISTS: Final = text("SELECT EXISTS (SELECT 1 FROM app_user WHERE name = :name)")

_BAR: Final = text("""
WITH revoked AS (UPDATE api_token SET revoked_at = :at WHERE username = :name AND revoked_at IS NULL)
UPDATE app_user SET barred_at = coalesce(barred_at, :at) WHERE name = :name RETURNING name
""")

_BY_TOKEN: Final = text("""
SELECT u.name, u.roles, u.scopes, u.marks
FROM api_token t JOIN app_user u ON u.name = t.username
WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND u.barred_at IS NULL
""")
