"""Who may ask something of us: people with roles, services with scopes, and the tokens they show."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PersonalData, TokenRow
from referral_rewards import personal
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.errors import NotAllowed, NotFound, NotSignedIn, RequestInvalid
from referral_rewards.domain.facts.rights import NOTHING, Rights, Teller
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels
from referral_rewards.domain.people.authority import OF_A_PERSON, READ_THE_BOOKS, Role, Scope, reaches

#: Tokens begin so, to be found by whoever scans for leaked secrets.
TOKEN_PREFIX: Final = "rrt_"  # noqa: S105 (a prefix, no secret)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody signed in, with the roles held and the scopes granted at this moment.

    ``proof`` is the hash of the token or session that was shown, empty where none was: by it `register.presence` asks
    again. ``token`` is the id of a token that was shown, and ``tells`` the facts that it allows to tell. ``reads`` are
    the programs whose referrals a service reads. ``lacks_factor``: they must set up a second factor before anything
    else.
    """

    name: str
    roles: frozenset[Role]
    scopes: frozenset[Scope]
    marks: frozenset[str]
    proof: str = field(default="", repr=False)
    token: UUID | None = None
    tells: Rights = NOTHING
    lacks_factor: bool = False
    reads: frozenset[str] = frozenset()

    @property
    def approver(self) -> Approver:
        return Approver(self.name, self.roles, self.marks)

    @property
    def teller(self) -> Teller:
        return Teller(self.name, self.token, self.tells)

    def need_scope(self, scope: Scope) -> None:
        """Return if the user holds the scope.

        Raises:
            NotAllowed: if not.
        """
        if scope not in self.scopes:
            raise NotAllowed(f"this takes the scope {scope}, which {self.name} does not have")

    def reads_program(self, program: str | None) -> bool:
        """Return whether the user may read where the referrals of a program stand: people with a role those of any, a
        service those of its programs."""
        return bool(self.roles) or reaches(self.reads, program)

    def need_program(self, program: str) -> None:
        """Return if the user may read where the referrals of a program stand.

        Raises:
            NotAllowed: if not. It is said alike of programs that there are and that there are not.
        """
        if not self.reads_program(program):
            raise NotAllowed(f"{self.name} reads the programs {', '.join(sorted(self.reads)) or 'none'}")

    def need_a_role(self) -> None:
        """Return if the user is a person with any role, who may read: services write facts and read nothing.

        Raises:
            NotAllowed: if not.
        """
        if not self.roles:
            raise NotAllowed("you need a role to see this")
        self.need_scope(Scope.CLAIMS_READ)

    def need_the_books(self) -> None:
        """Return if the user may read the books, which tell what everybody is paid.

        Raises:
            NotAllowed: if not.
        """
        self.need_a_role()
        if not self.roles & READ_THE_BOOKS:
            raise NotAllowed(f"To see this you need the role {listed(labels('role', sorted(READ_THE_BOOKS)), 'or')}.")

    def need_role(self, role: Role, what: str) -> None:
        """Return if the user holds the role; ``what`` names what needs it, for the refusal.

        Raises:
            NotAllowed: if not.
        """
        self.need_a_role()
        if role not in self.roles:
            raise NotAllowed(f"{self.name} may not {what}: it needs the role {role}")

    def need_finance(self) -> None:
        """Return if the user is of finance, who alone has a provider asked about money.

        Raises:
            NotAllowed: if not.
        """
        self.need_a_role()
        if Role.FINANCE not in self.roles:
            raise NotAllowed("To do this you need the role finance.")


async def add(
    connection: AsyncConnection,
    name: str,
    *,
    roles: Collection[Role] = (),
    scopes: Collection[Scope] = (),
    marks: Collection[str] = (),
    tells: Rights = NOTHING,
    reads: Collection[str] = (),
    at: datetime,
) -> str:
    """Adds a user and returns the token, which is kept nowhere: the register holds its hash.

    Raises:
        RequestInvalid: if the name is taken.
    """
    await enter(connection, name, roles=roles, scopes=scopes, marks=marks, tells=tells, reads=reads, at=at)
    granted = {*scopes, *(OF_A_PERSON if roles else ())}
    return await new_token(connection, name, label="first", scopes=granted, tells=tells, at=at)


async def enter(
    connection: AsyncConnection,
    name: str,
    *,
    roles: Collection[Role] = (),
    scopes: Collection[Scope] = (),
    marks: Collection[str] = (),
    tells: Rights = NOTHING,
    reads: Collection[str] = (),
    at: datetime,
) -> None:
    """Adds a user who has no means to sign in yet. ``tells`` are the facts that they may tell, with that scope, and
    ``reads`` the programs whose referrals they may read.

    Raises:
        RequestInvalid: if the name is taken.
    """
    row = {"name": name, "roles": sorted(roles), "scopes": sorted(scopes), "marks": sorted(marks), "at": at}
    row |= {"sources": sorted(tells.sources), "types": sorted(tells.types), "reads": sorted(reads)}
    if (await connection.execute(_ENTER, row)).scalar_one_or_none() is None:
        raise RequestInvalid(f"there is already a user {name!r}", "NAME")


async def new_token(
    connection: AsyncConnection,
    name: str,
    *,
    label: str,
    scopes: Collection[Scope],
    tells: Rights = NOTHING,
    at: datetime,
    expires_at: datetime | None = None,
    number: UUID | None = None,
    issued_by: UUID | None = None,
) -> str:
    """A further token for a user there is, for some of what the user may do; ``number`` becomes its id. ``issued_by``
    is the token that asked for it."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await connection.execute(
        insert(TokenRow).values(
            id=number or uuid4(),
            username=name,
            token_hash=hash_of(token),
            issued_by=issued_by,
            label=label,
            scopes=sorted(scopes),
            tells_sources=sorted(tells.sources),
            tells_types=sorted(tells.types),
            created_at=at,
            expires_at=expires_at,
            revoked_at=None,
        )
    )
    return token


async def exists(connection: AsyncConnection, name: str) -> bool:
    """Whether there is a user of that name, barred or not."""
    return bool((await connection.execute(_EXISTS, {"name": name})).scalar_one())


async def named(connection: AsyncConnection, name: str) -> User:
    """A user who was not barred, with all that they may do.

    Raises:
        NotFound: if there is no such user, or they were barred.
    """
    row = (await connection.execute(_NAMED, {"name": name})).one_or_none()
    if row is None:
        raise NotFound("unbarred user", name) if await exists(connection, name) else await unknown(connection, name)
    roles = frozenset(Role(role) for role in row.roles)
    held = {*row.scopes, *(OF_A_PERSON if roles else ())}
    scopes = frozenset(Scope(scope) for scope in held)
    return User(name, roles, scopes, frozenset(row.marks), tells=_tells(scopes, row.sources, row.types))


async def unknown(connection: AsyncConnection, name: str) -> NotFound:
    """That nobody has this name, and which is the nearest. Only for whoever may read the list of users anyway."""
    known = (await connection.execute(_EVERY_NAME)).scalars().all()
    return NotFound("user", name, known)


async def bar(connection: AsyncConnection, name: str, *, at: datetime) -> None:
    """Takes every authority from a user, at once: tokens and sessions end, and what they approved is not sent.

    Raises:
        NotFound: if there is no such user.
    """
    if (await connection.execute(_BAR, {"name": name, "at": at})).scalar_one_or_none() is None:
        raise await unknown(connection, name)


async def barred(connection: AsyncConnection, names: Collection[str]) -> frozenset[str]:
    """Return those of the users who are barred."""
    return frozenset((await connection.execute(_BARRED, {"names": sorted(names)})).scalars()) if names else frozenset()


async def contact(connection: AsyncConnection, name: str) -> str | None:
    """The email address to write to a user, or None: none was given, it was erased, or the user is barred."""
    row = (await connection.execute(_CONTACT, {"name": name})).one_or_none()
    body = None if row is None else personal.body_of(connection, row.subject_id, row.sealed)
    return body["email"] if body else None


async def set_contact(connection: AsyncConnection, name: str, email: str | None) -> None:
    """Notes the address to write to a user in place of the one before; None notes none. The one before is erased,
    unless an unconfirmed change of the account has to be told there."""
    await connection.execute(_ERASE_CONTACT, {"name": name})
    subject = None
    if email is not None:
        subject = uuid4()
        row = personal.kept(connection, subject, {"email": email})
        await connection.execute(insert(PersonalData).values(**row._asdict()))
    await connection.execute(_SET_CONTACT, {"name": name, "contact": subject})


async def signed_in(connection: AsyncConnection, token: str, at: datetime) -> User:
    """The user whose token this is.

    Raises:
        NotSignedIn: if it is nobody's, was revoked, has expired, or its user was barred.
    """
    return await with_proof(connection, hash_of(token), at)


async def with_proof(connection: AsyncConnection, proof: str, at: datetime) -> User:
    """The user as they are now, by the ``proof`` of a token that was shown before.

    Raises:
        NotSignedIn: likewise.
    """
    row = (await connection.execute(_BY_TOKEN, {"hash": proof, "at": at})).one_or_none()
    if row is None:
        raise NotSignedIn("the token is not valid")
    roles = frozenset(Role(role) for role in row.roles)
    held = {*row.own_scopes, *(OF_A_PERSON if roles else ())}
    granted = frozenset(Scope(scope) for scope in row.scopes if scope in held)
    own, its = (row.own_sources, row.own_types), (row.sources, row.types)
    tells = _tells(granted, *own) & _tells(granted, *its)
    reads = frozenset(row.reads)
    return User(row.name, roles, granted, frozenset(row.marks), proof, row.id, tells, reads=reads)


def _tells(scopes: Collection[Scope], sources: Collection[str], types: Collection[str]) -> Rights:
    return Rights(frozenset(sources), frozenset(types)) if Scope.EVENTS_WRITE in scopes else NOTHING


def hash_of(token: str) -> str:
    """What is kept of a token. It has 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


_EVERY_NAME: Final = text("SELECT name FROM app_user")
_EXISTS: Final = text("SELECT EXISTS (SELECT 1 FROM app_user WHERE name = :name)")

_NAMED: Final = text("""
SELECT roles, scopes, marks, tells_sources AS sources, tells_types AS types FROM app_user
WHERE name = :name AND barred_at IS NULL
""")

_ENTER: Final = text("""
INSERT INTO app_user (name, roles, scopes, marks, tells_sources, tells_types, reads_programs, created_at)
VALUES (:name, :roles, :scopes, :marks, :sources, :types, :reads, :at)
ON CONFLICT DO NOTHING RETURNING name
""")

_CONTACT: Final = text("""
SELECT p.subject_id, p.sealed FROM app_user u JOIN personal_data p ON p.subject_id = u.contact_id
WHERE u.name = :name AND u.barred_at IS NULL
""")

_ERASE_CONTACT: Final = text("""
UPDATE personal_data SET sealed = NULL, erased_at = coalesce(erased_at, now())
WHERE subject_id = (SELECT contact_id FROM app_user WHERE name = :name) AND NOT EXISTS (
    SELECT 1 FROM account_change c
    WHERE c.username = :name AND c.confirmed_at IS NULL AND c.known_contact_id = personal_data.subject_id
)
""")

_SET_CONTACT: Final = text("UPDATE app_user SET contact_id = :contact WHERE name = :name")

_BAR: Final = text("""
WITH revoked AS (UPDATE api_token SET revoked_at = :at WHERE username = :name AND revoked_at IS NULL),
ended AS (DELETE FROM session WHERE username = :name), begun AS (DELETE FROM sign_in_step WHERE username = :name)
UPDATE app_user SET barred_at = coalesce(barred_at, :at) WHERE name = :name RETURNING name
""")

_BY_TOKEN: Final = text("""
SELECT u.name, u.roles, u.scopes AS own_scopes, u.marks, t.scopes, t.id, t.tells_sources AS sources,
       t.tells_types AS types, u.tells_sources AS own_sources, u.tells_types AS own_types, u.reads_programs AS reads
FROM api_token t JOIN app_user u ON u.name = t.username
WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND u.barred_at IS NULL
  AND (t.expires_at IS NULL OR t.expires_at > :at)
""")

_BARRED: Final = text("""
SELECT name FROM app_user WHERE barred_at IS NOT NULL AND name = ANY(CAST(:names AS text[]))
""")
