"""Looking after people and services: who there is, what they may do, and how they sign in. Each act is on record.

Nobody changes what they themselves may do: another administrator does. Nobody acts as another either: whoever could,
through a change they made, is told of and confirmed by somebody else (`account_changes`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import NotAllowed, RequestInvalid
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.facts.rights import ANY, NOTHING, Rights
from referral_rewards.domain.people.account_changes import AccountAct
from referral_rewards.domain.people.authority import EVERY_PROGRAM, OF_A_PERSON, Scope, objection_to_programs
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import audit, typed_rows
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.people import account_changes, factors, passwords, sessions, users


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person or a service: what they may do, and by what they can sign in.

    ``tells_sources`` and ``tells_types`` are those of the facts that they may tell, ``reads_programs`` the programs
    whose referrals they may read, ``*`` for every one.
    ``mark_kinds`` are the kinds of identities that are known of them. ``identities``, ``tokens`` (that work),
    ``sessions`` (that are not over) and ``unconfirmed`` (changes of the account: until they are confirmed the user
    decides nothing) are counts.
    """

    name: str
    roles: Sequence[str]
    scopes: Sequence[str]
    tells_sources: Sequence[str]
    tells_types: Sequence[str]
    reads_programs: Sequence[str]
    mark_kinds: Sequence[str]
    created_at: datetime
    barred_at: datetime | None
    has_password: bool
    has_second_factor: bool
    has_contact: bool
    identities: int
    tokens: int
    sessions: int
    unconfirmed: int


async def listing(connection: AsyncConnection) -> Sequence[Somebody]:
    """Everybody, by name."""
    return await typed_rows.read(connection, Somebody, _PEOPLE, {"name": None})


async def administrators(connection: AsyncConnection) -> list[str]:
    """Who is an administrator and not barred, by name. Held until the end of the transaction: of two who are added as
    the first at one moment, one is."""
    await lock(connection, Lock.FIRST_ADMINISTRATOR)
    return list((await connection.execute(_ADMINISTRATORS, {"role": Role.ADMINISTRATOR})).scalars())


async def one(connection: AsyncConnection, name: str) -> Somebody:
    """One of them.

    Raises:
        NotFound: if there is no such user.
    """
    row = await typed_rows.read_one(connection, Somebody, _PEOPLE, {"name": name})
    if row is None:
        raise await users.unknown(connection, name)
    return row


async def add(
    connection: AsyncConnection,
    name: str,
    *,
    roles: Collection[Role] = (),
    scopes: Collection[Scope] = (),
    marks: Collection[str] = (),
    tells: Rights = NOTHING,
    reads: Collection[str] = (),
    by: str,
    at: datetime,
    with_token: bool = False,
    token_decides: bool = True,
) -> str | None:
    """Adds a person or a service; the token, if one is wanted. ``tells`` are the facts that they may tell, ``reads``
    the programs whose referrals they may read.

    ``token_decides``: a person's token may be used to decide, not only to read.

    Raises:
        BadInput: if the name is taken or can't be an id, or what may be told or read does not fit the scopes.
    """
    check_tells(scopes, tells)
    reads = check_reads(scopes, reads)
    if problem := id_problem(name):
        raise RequestInvalid(problem, "NAME")
    if name in audit.RESERVED:
        raise RequestInvalid("this name is reserved", "NAME")
    await users.enter(connection, name, roles=roles, scopes=scopes, marks=marks, tells=tells, reads=reads, at=at)
    said = {"roles": sorted(roles), "scopes": sorted(scopes), "marks": _kinds(marks), **told(tells)}
    said |= {"programs": sorted(reads)} if reads else {}
    await audit.note(connection, actor=by, act="user.added", subject=name, at=at, **said)
    if not with_token:
        return None
    granted = {*scopes, *(OF_A_PERSON if roles else ())}
    if roles and not token_decides:
        granted -= {Scope.CLAIMS_DECIDE}
    if Scope.CLAIMS_DECIDE in granted:
        await account_changes.keep(connection, name, AccountAct.TOKEN_ISSUED, by=by, at=at)
    return await users.new_token(connection, name, label="first", scopes=granted, tells=tells, at=at)


async def set_roles(connection: AsyncConnection, name: str, roles: Collection[Role], *, by: str, at: datetime) -> None:
    """Gives a person these roles in place of the ones before; they act with the next request.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if it is oneself.
    """
    _another(by, name, "roles")
    before = (await connection.execute(_ROLES, {"name": name})).scalar_one_or_none()
    if before is None:
        raise await users.unknown(connection, name)
    if sorted(before) == sorted(roles):
        return
    await connection.execute(_SET_ROLES, {"name": name, "roles": sorted(roles)})
    said = {"before": sorted(before), "roles": sorted(roles)}
    await audit.note(connection, actor=by, act="user.roles_set", subject=name, at=at, **said)


async def set_tells(connection: AsyncConnection, name: str, tells: Rights, *, by: str, at: datetime) -> None:
    """Gives somebody the right to tell these facts in place of those before. Tokens tell less at once, never more.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if it is oneself.
        RequestInvalid: if they may tell no facts at all, or none are named.
    """
    _another(by, name, "right to tell facts")
    before = await one(connection, name)
    check_tells([Scope(each) for each in before.scopes], tells)
    was = Rights(frozenset(before.tells_sources), frozenset(before.tells_types))
    if was == tells:
        return
    said = {"sources": sorted(tells.sources), "types": sorted(tells.types)}
    await connection.execute(_SET_TELLS, {"name": name, **said})
    await audit.note(connection, actor=by, act="user.rights_set", subject=name, at=at, before=told(was), **told(tells))


async def set_programs(
    connection: AsyncConnection, name: str, programs: Collection[str], *, by: str, at: datetime
) -> None:
    """Lets a service read the referrals of these programs in place of those before, with its next request.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if it is oneself.
        BadInput: if they read no referrals at all, or no program is named.
    """
    _another(by, name, "programs")
    before = await one(connection, name)
    reads = check_reads([Scope(each) for each in before.scopes], programs)
    if reads == frozenset(before.reads_programs):
        return
    await connection.execute(_SET_PROGRAMS, {"name": name, "programs": sorted(reads)})
    said = {"before": sorted(before.reads_programs), "programs": sorted(reads)}
    await audit.note(connection, actor=by, act="user.programs_set", subject=name, at=at, **said)


async def set_marks(connection: AsyncConnection, name: str, marks: Collection[str], *, by: str, at: datetime) -> None:
    """Notes who somebody is, beside what is known; without any marks, forgets what is known. Two accounts of one person
    are one in every count of signatures by their marks alone, so that forgetting them waits for a second person.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if it is oneself: the marks keep people from their own claims.
    """
    _another(by, name, "identity")
    if not marks and (await one(connection, name)).mark_kinds:
        await account_changes.keep(connection, name, AccountAct.MARKS_FORGOTTEN, by=by, at=at)
    if (await connection.execute(_SET_MARKS, {"name": name, "marks": sorted(marks)})).scalar_one_or_none() is None:
        raise await users.unknown(connection, name)
    await audit.note(connection, actor=by, act="user.marks_set", subject=name, at=at, marks=_kinds(marks))


async def set_contact(connection: AsyncConnection, name: str, email: str | None, *, by: str, at: datetime) -> None:
    """Notes the address to write to somebody; None: nobody writes to them.

    Raises:
        NotFound: if there is no such user.
        RequestInvalid: if it is no address.
    """
    if email is not None and not passable(email):
        raise RequestInvalid("not a valid email address", "contact")
    if (await one(connection, name)).has_contact:
        await account_changes.keep(connection, name, AccountAct.CONTACT_CHANGED, by=by, at=at)
    await users.set_contact(connection, name, email)
    act = "user.contact_set" if email is not None else "user.contact_removed"
    await audit.note(connection, actor=by, act=act, subject=name, at=at)


async def set_password(
    connection: AsyncConnection, name: str, hashed: str | None, *, by: str, at: datetime, but: str | None = None
) -> None:
    """Keeps the hash of a new password (None: there is none any more), and ends the sessions of before.

    ``but`` is the token of the session that goes on.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if this administrator reset the user's second factor, and no other was set up since.
    """
    await factors.check_did_not_reset(connection, name, by=by)
    await passwords.keep(connection, name, hashed)
    if hashed is not None:
        await account_changes.keep(connection, name, AccountAct.PASSWORD_SET, by=by, at=at)
    await sessions.end_all_of(connection, name, but=but)
    act = "user.password_set" if hashed is not None else "user.password_removed"
    await audit.note(connection, actor=by, act=act, subject=name, at=at)


async def end_sessions(
    connection: AsyncConnection, name: str, *, by: str, at: datetime, but: str | None = None
) -> None:
    """Signs somebody out everywhere, ``but`` in the session of that token.

    Raises:
        NotFound: if there is no such user.
    """
    await one(connection, name)
    await sessions.end_all_of(connection, name, but=but)
    await audit.note(connection, actor=by, act="session.all_ended", subject=name, at=at)


async def bar(connection: AsyncConnection, name: str, *, by: str, at: datetime) -> None:
    """Takes every authority from somebody, at once; tokens and sessions end for good.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if it is oneself.
    """
    _another(by, name, "access")
    await users.bar(connection, name, at=at)
    await audit.note(connection, actor=by, act="user.barred", subject=name, at=at)


async def unbar(connection: AsyncConnection, name: str, *, by: str, at: datetime) -> None:
    """Lets somebody sign in again, by password or provider; the tokens there were stay revoked.

    Raises:
        NotFound: if there is no such user.
        NotAllowed: if it is oneself.
    """
    _another(by, name, "access")
    await one(connection, name)
    if (await connection.execute(_UNBAR, {"name": name})).rowcount:
        await audit.note(connection, actor=by, act="user.unbarred", subject=name, at=at)


async def link(connection: AsyncConnection, name: str, *, issuer: str, subject: str, by: str, at: datetime) -> None:
    """Has whoever the OpenID provider knows by that subject sign in as this user.

    Raises:
        NotFound: if there is no such user.
        RequestInvalid: if the subject is linked to somebody already.
    """
    await one(connection, name)
    identity = {"issuer": issuer, "subject": subject, "name": name}
    if (await connection.execute(_LINK, identity)).scalar_one_or_none() is None:
        raise RequestInvalid("is already linked to a user", "subject")
    await account_changes.keep(connection, name, AccountAct.IDENTITY_LINKED, by=by, at=at)
    await audit.note(connection, actor=by, act="user.linked", subject=name, at=at, issuer=issuer)


async def unlink(connection: AsyncConnection, name: str, *, by: str, at: datetime) -> None:
    """Has nobody sign in as this user through a provider any more; sessions end. The identities are no new users: they
    sign in again once they are linked to somebody.

    Raises:
        NotFound: if there is no such user.
    """
    await one(connection, name)
    await connection.execute(_UNLINK, {"name": name, "at": at})
    await sessions.end_all_of(connection, name)
    await audit.note(connection, actor=by, act="user.unlinked", subject=name, at=at)


def check_tells(scopes: Collection[Scope], tells: Rights) -> None:
    """Return if a user with these scopes can have the right to tell these facts: nobody has it by default.

    Raises:
        RequestInvalid: naming what would be right.
    """
    if Scope.EVENTS_WRITE not in scopes:
        if tells.sources or tells.types:
            raise RequestInvalid(f"only a user with the scope {Scope.EVENTS_WRITE} tells facts", "sources")
        return
    for field, names in (("sources", tells.sources), ("types", tells.types)):
        if not names:
            raise RequestInvalid(f"name the {field} of the facts that it may tell; {ANY} is every one", field)


def check_reads(scopes: Collection[Scope], programs: Collection[str]) -> frozenset[str]:
    """Return the programs that a user with these scopes reads.

    Raises:
        RequestInvalid: if none are named for a scope that needs some, or some for no scope.
    """
    named = frozenset(each.strip() for each in programs if each.strip())
    if (why := objection_to_programs(scopes, named)) is not None:
        raise RequestInvalid(why, "programs")
    return frozenset({EVERY_PROGRAM}) if EVERY_PROGRAM in named else named


def told(tells: Rights) -> dict[str, list[str]]:
    """Return rights as the audit log has them; none as nothing."""
    return {} if tells == NOTHING else {"sources": sorted(tells.sources), "types": sorted(tells.types)}


def passable(email: str) -> bool:
    """Whether it has the form of an address; whether anybody reads there only a message can tell."""
    local, _, domain = email.rpartition("@")
    return bool(local) and "." in domain and len(email) <= 254 and email.isprintable() and " " not in email


def _another(by: str, name: str, what: str) -> None:
    if by == name:
        raise NotAllowed(f"you can't change your own {what}; ask another administrator")


def _kinds(marks: Collection[str]) -> list[str]:
    return sorted({mark.partition(":")[0] for mark in marks})


_PEOPLE: Final = text("""
SELECT u.name, u.roles, u.scopes, u.tells_sources, u.tells_types, u.reads_programs, u.created_at, u.barred_at,
       u.password_hash IS NOT NULL AS has_password,
       EXISTS (SELECT 1 FROM second_factor f WHERE f.username = u.name AND f.secret IS NOT NULL) AS has_second_factor,
       EXISTS (SELECT 1 FROM personal_data p WHERE p.subject_id = u.contact_id AND p.sealed IS NOT NULL) AS has_contact,
       ARRAY(SELECT DISTINCT split_part(m, ':', 1) FROM unnest(u.marks) AS m ORDER BY 1) AS mark_kinds,
       (SELECT count(*) FROM oidc_identity i
          WHERE i.username = u.name AND i.unlinked_at IS NULL) AS identities,
       (SELECT count(*) FROM api_token t WHERE t.username = u.name AND t.revoked_at IS NULL
          AND (t.expires_at IS NULL OR t.expires_at > now())) AS tokens,
       (SELECT count(*) FROM session s WHERE s.username = u.name AND s.expires_at > now()) AS sessions,
       (SELECT count(*) FROM account_change c WHERE c.username = u.name AND c.confirmed_at IS NULL) AS unconfirmed
FROM app_user u WHERE CAST(:name AS text) IS NULL OR u.name = :name ORDER BY u.name
""")
_ADMINISTRATORS: Final = text("""
SELECT name FROM app_user WHERE CAST(:role AS text) = ANY(roles) AND barred_at IS NULL ORDER BY name
""")
_ROLES: Final = text("SELECT roles FROM app_user WHERE name = :name FOR UPDATE")
_SET_TELLS: Final = text("""
UPDATE app_user SET tells_sources = CAST(:sources AS text[]), tells_types = CAST(:types AS text[]) WHERE name = :name
""")
_SET_PROGRAMS: Final = text("UPDATE app_user SET reads_programs = CAST(:programs AS text[]) WHERE name = :name")
_SET_ROLES: Final = text("UPDATE app_user SET roles = :roles WHERE name = :name")
_SET_MARKS: Final = text("""
UPDATE app_user SET marks = CASE WHEN cardinality(CAST(:marks AS text[])) = 0 THEN '{}'
    ELSE ARRAY(SELECT DISTINCT m FROM unnest(marks || CAST(:marks AS text[])) AS m ORDER BY 1) END
WHERE name = :name RETURNING name
""")
_UNBAR: Final = text("UPDATE app_user SET barred_at = NULL WHERE name = :name AND barred_at IS NOT NULL")
_LINK: Final = text("""
INSERT INTO oidc_identity AS i (issuer, subject, username) VALUES (:issuer, :subject, :name)
ON CONFLICT (issuer, subject) DO UPDATE SET username = excluded.username, unlinked_at = NULL
WHERE i.unlinked_at IS NOT NULL RETURNING i.subject
""")
_UNLINK: Final = text("UPDATE oidc_identity SET unlinked_at = :at WHERE username = :name AND unlinked_at IS NULL")
