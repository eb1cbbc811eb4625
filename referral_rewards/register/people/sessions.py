"""Sessions of people who are signed in with a browser. The cookie holds 256 random bits, the register their hash."""

import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import SessionRow
from referral_rewards.domain import clocks
from referral_rewards.domain.errors import FactorNeeded, NotSignedIn
from referral_rewards.domain.people.authority import OF_A_PERSON, Scope
from referral_rewards.domain.people.second_factor import Factor, is_lacking
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import account_changes
from referral_rewards.register.people.users import User, hash_of

#: Unused for so long, a session is over; and used or not, after a working day.
IDLE_MAX: Final = timedelta(minutes=30)
LENGTH_MAX: Final = timedelta(hours=12)
#: What gives a lasting authority asks for a code unless one was shown so lately.
FRESH: Final = timedelta(minutes=5)
#: A session notes that it is used only this often, so that reading a page rarely writes.
_NOTED_EVERY: Final = timedelta(minutes=1)


async def begin(
    connection: AsyncConnection,
    username: str,
    *,
    at: datetime,
    roles: Collection[Role] | None = None,
    factor: Factor = Factor.MISSING,
) -> str:
    """Signs a user in; the token for the cookie, which is kept nowhere else.

    ``factor`` is what is known of their second one; by default they can't decide until they set it up.

    ``roles`` are what an identity provider says, where it is the one to say; None: those of the user's own row, looked
    up with each request.
    """
    token = secrets.token_urlsafe(32)
    await connection.execute(
        insert(SessionRow).values(
            token_hash=hash_of(token),
            username=username,
            roles=None if roles is None else sorted(roles),
            began_at=at,
            seen_at=at,
            expires_at=at + LENGTH_MAX,
            factor=factor,
            factor_at=at if factor is Factor.SHOWN else None,
        )
    )
    return token


async def visitor(connection: AsyncConnection, token: str, *, at: datetime) -> User:
    """The user whose session this is.

    Raises:
        NotSignedIn: if there is none, it is over, or its user was barred.
    """
    found = await connection.execute(_FIND, {"hash": hash_of(token), "at": at, "idle_since": at - IDLE_MAX})
    row = found.one_or_none()
    if row is None:
        raise NotSignedIn("the session is over; sign in again")
    if at - row.seen_at > _NOTED_EVERY:
        await connection.execute(_SEEN, {"hash": hash_of(token), "at": at})
    roles = frozenset(Role(role) for role in (row.own_roles if row.roles is None else row.roles))
    scopes = OF_A_PERSON if roles else frozenset()
    lacking = is_lacking(Factor(row.factor), roles)
    if lacking:
        scopes -= {Scope.CLAIMS_DECIDE}
    return User(row.username, roles, scopes, frozenset(row.marks), hash_of(token), lacks_factor=lacking)


async def show_factor(connection: AsyncConnection, token: str, *, at: datetime) -> None:
    """Notes that the second factor was shown in this session just now."""
    await connection.execute(_SHOW_FACTOR, {"hash": hash_of(token), "at": at, "shown": Factor.SHOWN})


async def is_fresh(connection: AsyncConnection, token: str, *, at: datetime) -> bool:
    """Whether this session need not show its second factor again: it did a moment ago, or there is none of ours."""
    row = (await connection.execute(_FACTOR, {"hash": hash_of(token)})).one_or_none()
    if row is None:
        return False
    return bool(row.factor != Factor.SHOWN or row.factor_at > at - FRESH)


async def end(connection: AsyncConnection, token: str) -> None:
    """Signs out."""
    await connection.execute(_END, {"hash": hash_of(token)})


async def end_all_of(connection: AsyncConnection, username: str, *, but: str | None = None) -> None:
    """Ends every session of a user; ``but`` is the token of the one that goes on."""
    await connection.execute(_END_ALL, {"name": username, "but": but and hash_of(but)})


async def forget_expired(connection: AsyncConnection, at: datetime) -> None:
    """Deletes what is over by now."""
    await connection.execute(_FORGET, {"at": at})


_FIND: Final = text("""
SELECT s.username, s.roles, s.seen_at, s.factor, u.roles AS own_roles, u.marks
FROM session s JOIN app_user u ON u.name = s.username
WHERE s.token_hash = :hash AND s.expires_at > :at AND s.seen_at > :idle_since AND u.barred_at IS NULL
""")

_SEEN: Final = text("UPDATE session SET seen_at = :at WHERE token_hash = :hash")
_SHOW_FACTOR: Final = text("UPDATE session SET factor = :shown, factor_at = :at WHERE token_hash = :hash")
_FACTOR: Final = text("SELECT factor, factor_at FROM session WHERE token_hash = :hash")
_END: Final = text("DELETE FROM session WHERE token_hash = :hash")
_END_ALL: Final = text("""
WITH begun AS (DELETE FROM sign_in_step WHERE username = :name)
DELETE FROM session WHERE username = :name AND token_hash IS DISTINCT FROM :but
""")
_FORGET: Final = text("DELETE FROM session WHERE expires_at <= :at")


async def still(connection: AsyncConnection, user: User, *, at: datetime) -> User:
    """The user with the roles and marks of now, which stay so until the caller's transaction ends.

    A thousand decisions take a while. Whoever bars the person or takes a role meanwhile waits for the one decision that
    is being recorded, or is waited for: none follows. The end of a token or a session is seen by the next decision.

    Raises:
        NotSignedIn: if the token or session was ended, or its user barred.
        NotAllowed: if the token, or whoever holds it, may no longer decide.
        FactorNeeded: if the session lacks a second factor.
        AccountUnconfirmed: if somebody else changed how they sign in, and nobody confirmed it yet.
        ClocksApart: if ``at``, the time of the caller's clock, is not that of the database.
    """
    row = (await connection.execute(_STILL, {"name": user.name, "proof": user.proof, "at": at})).one_or_none()
    if row is None or not (row.by_token or row.by_session):
        raise NotSignedIn(f"{user.name} is no longer signed in")
    clocks.need_the_same(at, row.databases)
    roles = frozenset(Role(role) for role in (row.roles if row.said_roles is None else row.said_roles))
    now = replace(user, roles=roles, marks=frozenset(row.marks))
    now.need_a_role()
    if not row.by_token and is_lacking(Factor(row.factor), roles):
        raise FactorNeeded
    now.need_scope(Scope.CLAIMS_DECIDE)
    if row.is_unconfirmed:
        await account_changes.need_none(connection, user.name)
    return now


_STILL: Final = text("""
SELECT u.roles, u.marks, s.roles AS said_roles, s.factor, clock_timestamp() AS databases,
       t.id IS NOT NULL AS by_token, s.token_hash IS NOT NULL AS by_session,
       EXISTS (SELECT 1 FROM account_change c WHERE c.username = u.name AND c.confirmed_at IS NULL) AS is_unconfirmed
FROM app_user u
LEFT JOIN api_token t ON t.username = u.name AND t.token_hash = :proof AND t.revoked_at IS NULL
     AND (t.expires_at IS NULL OR t.expires_at > :at)
LEFT JOIN session s ON s.username = u.name AND s.token_hash = :proof AND s.expires_at > :at
WHERE u.name = :name AND u.barred_at IS NULL FOR SHARE OF u
""")
