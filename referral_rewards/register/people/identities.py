"""People whom an OpenID provider knows: sign-ins that are on their way there, and which of our users comes back."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import SignInFlow
from referral_rewards.domain.errors import NotSignedIn
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.register import audit
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import users
from referral_rewards.register.people.users import hash_of

#: How long somebody may take at the provider.
FLOW_MAX: Final = timedelta(minutes=10)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that was begun: what must come back in the token, and where its person wanted to go."""

    state: str
    nonce: str
    verifier: str
    return_to: str


async def begin(connection: AsyncConnection, browser: str, return_to: str, *, at: datetime) -> Flow:
    """Begins a sign-in in the browser that holds this secret; no other can bring it to its end."""
    flow = Flow(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), return_to)
    await connection.execute(_FORGET, {"at": at})
    await connection.execute(
        insert(SignInFlow).values(
            state_hash=_key(browser, flow.state),
            nonce=flow.nonce,
            code_verifier=flow.verifier,
            return_to=return_to,
            expires_at=at + FLOW_MAX,
        )
    )
    return flow


async def take(connection: AsyncConnection, browser: str, state: str, *, at: datetime) -> Flow | None:
    """The sign-in that this browser began under this state, once; None if there is none, or it took too long."""
    row = (await connection.execute(_TAKE, {"hash": _key(browser, state), "at": at})).one_or_none()
    return None if row is None else Flow(state, row.nonce, row.code_verifier, row.return_to)


async def user_of(
    connection: AsyncConnection, issuer: str, subject: str, *, name: str, marks: Collection[str], at: datetime
) -> str:
    """The user whom the provider knows by that subject, entered at the first sign-in.

    ``name`` is what the provider would have them called. It is never how they are found: whoever has a name here is
    taken over by nobody, and an administrator links the two if they are one.

    Raises:
        NotSignedIn: ``barred`` if the user was, ``unlinked`` if the identity was taken from its user and given to
            nobody since. As a new user its person would have two accounts, and so both signatures.
    """
    await lock(connection, Lock.SIGN_IN, f"{issuer}\n{subject}")
    row = (await connection.execute(_USER, {"issuer": issuer, "subject": subject})).one_or_none()
    if row is not None:
        if row.barred_at is not None:
            raise NotSignedIn("barred")
        if row.unlinked_at is not None:
            raise NotSignedIn("unlinked")
        if new := set(marks) - set(row.marks):
            await people.set_marks(connection, row.username, new, by=audit.PROVIDER, at=at)
        return str(row.username)
    chosen = await _free_name(connection, issuer, subject, name)
    await people.add(connection, chosen, marks=marks, by=audit.PROVIDER, at=at)
    await people.link(connection, chosen, issuer=issuer, subject=subject, by=audit.PROVIDER, at=at)
    return chosen


async def _free_name(connection: AsyncConnection, issuer: str, subject: str, name: str) -> str:
    """The name if nobody has it and it says nothing personal, else one that only the subject leads to."""
    passable = _NAME.fullmatch(name) and id_problem(name) is None and name not in audit.RESERVED
    if passable and not await users.exists(connection, name):
        return name
    return f"user-{hashlib.sha256(f'{issuer}{chr(10)}{subject}'.encode()).hexdigest()[:16]}"


def _key(browser: str, state: str) -> str:
    return hash_of(f"{browser}.{state}")


_FORGET: Final = text("DELETE FROM oidc_flow WHERE expires_at <= :at")
_TAKE: Final = text("""
DELETE FROM oidc_flow WHERE state_hash = :hash AND expires_at > :at RETURNING nonce, code_verifier, return_to
""")
_USER: Final = text("""
SELECT i.username, i.unlinked_at, u.barred_at, u.marks FROM oidc_identity i JOIN app_user u ON u.name = i.username
WHERE i.issuer = :issuer AND i.subject = :subject
""")
