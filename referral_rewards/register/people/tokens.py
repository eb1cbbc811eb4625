"""API tokens that people issue for themselves: for some of what they may do, for a time, and revoked when they like."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import NotAllowed, NotFound, NotSignedIn, RequestInvalid
from referral_rewards.domain.facts.rights import NOTHING, Rights
from referral_rewards.domain.people.account_changes import AccountAct
from referral_rewards.domain.people.authority import Scope
from referral_rewards.register import audit, typed_rows
from referral_rewards.register.people import account_changes, users
from referral_rewards.register.people.administration import check_tells, told
from referral_rewards.register.people.users import User, hash_of

LABEL_LENGTH_MAX: Final = 80
LIFETIME_MAX: Final = timedelta(days=366)


async def issue(
    connection: AsyncConnection,
    user: User,
    *,
    label: str,
    scopes: Collection[Scope],
    expires_at: datetime,
    at: datetime,
    tells: Rights | None = None,
    by: str | None = None,
    by_token: str | None = None,
) -> tuple[UUID, str]:
    """A further token of the user's, by its id and itself, which is kept nowhere.

    ``by`` is who issues it, if not the user; ``by_token`` the token that asks for it, where one does: what comes of it
    ends with it. ``tells`` are the facts that the token may tell, None all that the user may now.

    Raises:
        RequestInvalid: without a label or scope, or for a time that is over or longer than a year.
        NotSignedIn: if the token that asks was revoked meanwhile.
        NotAllowed: for a scope or a fact that the user, or the token that asks, has no right to, or a longer life than
            its own.
        AccountUnconfirmed: for a token that decides, of a user whose account somebody else changed.
    """
    label = label.strip()
    if not 0 < len(label) <= LABEL_LENGTH_MAX or not label.isprintable():
        raise RequestInvalid(f"enter a purpose of at most {LABEL_LENGTH_MAX} characters", "label")
    if not scopes:
        raise RequestInvalid(f"choose at least one of {', '.join(sorted(Scope))}", "scopes")
    if not at < expires_at <= at + LIFETIME_MAX:
        raise RequestInvalid("a token is valid for at most a year", "expires_at")
    for scope in sorted(scopes):
        user.need_scope(scope)
    tells = _tells(user, scopes, tells)
    if by is None and Scope.CLAIMS_DECIDE in scopes:
        # It would outlast the change of the account, whatever becomes of that.
        await account_changes.need_none(connection, user.name)
    issued_by = None
    if by_token is not None:
        # Held, so that revoking it comes before, and nothing is issued, or after, and takes what was issued along.
        asking = (await connection.execute(_ASKING, {"hash": hash_of(by_token)})).one_or_none()
        if asking is None:
            raise NotSignedIn("the token is not valid")
        if asking.expires_at is not None and expires_at > asking.expires_at:
            raise NotAllowed("a token can't create a token that outlives it")
        issued_by = asking.id
    number = uuid4()
    token = await users.new_token(
        connection,
        user.name,
        label=label,
        scopes=scopes,
        tells=tells,
        at=at,
        expires_at=expires_at,
        number=number,
        issued_by=issued_by,
    )
    if by is not None and Scope.CLAIMS_DECIDE in scopes:
        await account_changes.keep(connection, user.name, AccountAct.TOKEN_ISSUED, by=by, at=at)
    said = {"token": str(number), "scopes": sorted(scopes), "expires_at": expires_at.isoformat()}
    said |= told(tells)
    await audit.note(connection, actor=by or user.name, act="token.issued", subject=user.name, at=at, **said)
    return number, token


def _tells(user: User, scopes: Collection[Scope], tells: Rights | None) -> Rights:
    """Return the facts that a token with these scopes may tell.

    Raises:
        NotAllowed: if the user may not tell all of them.
        RequestInvalid: if they do not fit the scopes.
    """
    if tells is None:
        tells = user.tells if Scope.EVENTS_WRITE in scopes else NOTHING
    check_tells(scopes, tells)
    if not tells.within(user.tells):
        raise NotAllowed(f"{user.name} may tell {user.tells} and can't issue a token for more")
    return tells


class KeptToken(NamedTuple):
    """A token as it is listed: what it is for, never itself. ``sources`` and ``types`` are those of the facts that it
    may tell."""

    id: UUID
    label: str
    scopes: tuple[str, ...]
    sources: tuple[str, ...]
    types: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def of(connection: AsyncConnection, name: str) -> Sequence[KeptToken]:
    """A user's tokens, newest first."""
    return await typed_rows.read(connection, KeptToken, _OF, {"name": name})


async def revoke(
    connection: AsyncConnection, number: UUID, *, by: str, at: datetime, only_of: str | None = None
) -> None:
    """Ends a token at once, with those that it issued; a second time changes nothing. ``only_of``: whose it has to be.

    Raises:
        NotFound: if there is no such token.
    """
    row = (await connection.execute(_FIND, {"id": number, "name": only_of})).one_or_none()
    if row is None:
        raise NotFound("token", str(number))
    ended = list((await connection.execute(_REVOKE, {"id": number, "at": at})).scalars())
    for each in sorted(ended, key=lambda each: (each != number, each)):
        said = {"token": str(each)}
        await audit.note(connection, actor=by, act="token.revoked", subject=row.username, at=at, **said)


_OF: Final = text("""
SELECT id, label, scopes, tells_sources AS sources, tells_types AS types, created_at, expires_at, revoked_at
FROM api_token
WHERE username = :name ORDER BY created_at DESC, id
""")
_FIND: Final = text("""
SELECT username FROM api_token WHERE id = :id AND (CAST(:name AS text) IS NULL OR username = :name) FOR UPDATE
""")
_REVOKE: Final = text("""
WITH RECURSIVE line AS (
    SELECT id FROM api_token WHERE id = :id UNION SELECT t.id FROM api_token t JOIN line ON t.issued_by = line.id
)
UPDATE api_token SET revoked_at = :at WHERE id IN (SELECT id FROM line) AND revoked_at IS NULL RETURNING id
""")
_ASKING: Final = text("""
SELECT id, expires_at FROM api_token WHERE token_hash = :hash AND revoked_at IS NULL FOR SHARE
""")
