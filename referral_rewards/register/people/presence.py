"""Whether somebody who was signed in when a request came still is, and what they may do at the moment they act."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import NotSignedIn
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people.users import Scope, User


async def still(connection: AsyncConnection, user: User, *, at: datetime) -> User:
    """The user with the roles and marks of now, which stay so until the caller's transaction ends.

    A thousand decisions take a while. Whoever bars the person or takes a role meanwhile waits for the one decision that
    is being recorded, or is waited for: none follows. The end of a token or a session is seen by the next decision.

    Raises:
        NotSignedIn: if the token or session was ended, or its user barred.
        NotAllowed: if the token, or whoever holds it, may no longer decide.
    """
    row = (await connection.execute(_STILL, {"name": user.name, "proof": user.proof, "at": at})).one_or_none()
    if row is None or not (row.by_token or row.by_session):
        raise NotSignedIn(f"{user.name} is no longer signed in")
    roles = frozenset(Role(role) for role in (row.roles if row.said_roles is None else row.said_roles))
    now = replace(user, roles=roles, marks=frozenset(row.marks))
    now.need_a_role()
    now.need_scope(Scope.CLAIMS_DECIDE)
    return now


_STILL: Final = text("""
SELECT u.roles, u.marks, s.roles AS said_roles,
       t.id IS NOT NULL AS by_token, s.token_hash IS NOT NULL AS by_session
FROM app_user u
LEFT JOIN api_token t ON t.username = u.name AND t.token_hash = :proof AND t.revoked_at IS NULL
     AND (t.expires_at IS NULL OR t.expires_at > :at)
LEFT JOIN session s ON s.username = u.name AND s.token_hash = :proof AND s.expires_at > :at
WHERE u.name = :name AND u.barred_at IS NULL FOR SHARE OF u
""")
