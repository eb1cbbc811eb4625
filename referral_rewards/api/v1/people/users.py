"""Users (people and services): their authority and how they sign in. For administrators."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Administrator, Its, Parts, Reading, SignedIn, acting, bearer
from referral_rewards.api.v1.fields import TEXT, NamedInPath, Sources, Types, named_rights
from referral_rewards.api.v1.people.tokens import IssuedToken, Token
from referral_rewards.domain.errors import NotAllowed, RequestInvalid
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.rights import NOTHING
from referral_rewards.domain.people.authority import PROGRAMS_MAX, Role, Scope
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import factors, passwords, tokens, users
from referral_rewards.register.people.users import User
from referral_rewards.reporting.shape import Instant

router = APIRouter(prefix="/v1/users", tags=["people"])

Word = Annotated[str, Field(min_length=1, max_length=300, pattern=TEXT)]
_STRICT = ConfigDict(extra="forbid")
ProgramsRead = Annotated[
    list[Word] | None,
    Field(
        max_length=PROGRAMS_MAX,
        examples=[["acme-friends"]],
        description="The programs whose referrals may be read; `*` for every one.",
    ),
]
"""Whose referrals may be read; None: not said."""


class Account(BaseModel):
    """A person with roles, or a service with scopes. ``tells_sources`` and ``tells_types`` are those of the facts that
    they may tell, ``reads_programs`` the programs whose referrals a service reads, `*` for every one. ``mark_kinds``
    are the kinds of identities known of them, so that they never decide on claims they benefit from; ``tokens`` and
    ``sessions`` count the valid ones, ``unconfirmed`` the changes of the account that nobody confirmed yet: until then
    they decide nothing."""

    name: str
    roles: list[str]
    scopes: list[str]
    tells_sources: list[str]
    tells_types: list[str]
    reads_programs: list[str]
    mark_kinds: list[str]
    created_at: Instant
    barred_at: Instant | None
    has_password: bool
    has_second_factor: bool
    has_contact: bool
    identities: int
    tokens: int
    sessions: int
    unconfirmed: int


class NewAccount(BaseModel):
    """A user to add. One with the scope `events:write` may tell facts of the ``sources`` and ``types`` that are named,
    and no others; `*` is every one. One with the scope `referrals:read` reads those of ``programs``. ``customer`` and
    ``email`` are their own and stored only as marks; ``contact`` is the address for messages."""

    model_config = _STRICT

    name: Word
    roles: list[Role] = []
    scopes: list[Scope] = []
    sources: Sources = None
    types: Types = None
    programs: ProgramsRead = None
    customer: Word | None = None
    email: Word | None = None
    contact: Word | None = None


class AddedAccount(BaseModel):
    """The added user. ``token`` is shown once."""

    name: str
    token: str


class NewRoles(BaseModel):
    """The roles that replace the present ones."""

    model_config = _STRICT

    roles: list[Role]


class NewRights(BaseModel):
    """The sources and types of the facts that a user may tell, in place of those before."""

    model_config = _STRICT

    sources: Sources = None
    types: Types = None


class NewPrograms(BaseModel):
    """The programs whose referrals a service may read, in place of those before."""

    model_config = _STRICT

    programs: ProgramsRead = None


class NewMarks(BaseModel):
    """A user's identities; stored only as marks, in addition to the known ones."""

    model_config = _STRICT

    customer: Word | None = None
    email: Word | None = None


class NewContact(BaseModel):
    """The user's address for messages."""

    model_config = _STRICT

    email: Word


class NewPassword(BaseModel):
    """A password; only its hash is stored."""

    model_config = _STRICT

    password: Annotated[SecretStr, Field(max_length=1000)]


class NewIdentity(BaseModel):
    """The provider, and the subject (`sub`) there, with which the user signs in."""

    model_config = _STRICT

    issuer: Word
    subject: Word


class NewTokenOf(BaseModel):
    """A token to issue for a user, with all scopes of the user if none are named. One that tells facts may tell those
    of ``sources`` and ``types``; without these, all that its user may tell now."""

    model_config = _STRICT

    label: Annotated[str, Field(min_length=1, max_length=tokens.LABEL_LENGTH_MAX)]
    scopes: list[Scope] = []
    sources: Sources = None
    types: Types = None
    days: Annotated[int, Field(ge=1, le=tokens.LIFETIME_MAX.days)] = 90


@router.get("", summary="List people and services")
async def list_users(connection: Reading, user: Administrator) -> list[Account]:
    """Lists users by name, with their roles and how they can sign in."""
    return [Account(**asdict(row)) for row in await people.listing(connection)]


@router.post("", status_code=HTTPStatus.CREATED, summary="Add a person or a service")
async def add_user(new: NewAccount, parts: Its, user: Administrator) -> AddedAccount:
    """Adds a user, with a token that is shown once. Where a second factor is required, a person's token only reads:
    they issue one that may decide themselves, at `/account`."""
    if not new.roles and not new.scopes:
        raise RequestInvalid("a person needs a role, a service a scope", "roles")
    marks = _marks(parts, new.customer, new.email)

    async def add(connection: AsyncConnection, now: datetime) -> str | None:
        token = await people.add(
            connection,
            new.name,
            roles=new.roles,
            scopes=new.scopes,
            marks=marks,
            tells=named_rights(new.sources, new.types) or NOTHING,
            reads=new.programs or (),
            by=user.name,
            at=now,
            with_token=True,
            token_decides=not parts.second_factor_required,
        )
        if new.contact is not None:
            await people.set_contact(connection, new.name, new.contact, by=user.name, at=now)
        return token

    token = await acting(parts, user, add, Role.ADMINISTRATOR)
    assert token is not None
    return AddedAccount(name=new.name, token=token)


@router.put("/{name:path}/roles", status_code=HTTPStatus.NO_CONTENT, summary="Set somebody's roles")
async def set_roles(name: NamedInPath, new: NewRoles, parts: Its, user: Administrator) -> None:
    """Replaces the roles from the next request on. Users can't change their own."""
    await _do(parts, user, lambda c, at: people.set_roles(c, name, new.roles, by=user.name, at=at))


@router.put("/{name:path}/rights", status_code=HTTPStatus.NO_CONTENT, summary="Set which facts somebody may tell")
async def set_rights(name: NamedInPath, new: NewRights, parts: Its, user: Administrator) -> None:
    """Replaces what a user with the scope `events:write` may tell. Their tokens tell less at once and never more: a
    wider right takes a new token. Users can't change their own."""
    tells = named_rights(new.sources, new.types) or NOTHING
    await _do(parts, user, lambda c, at: people.set_tells(c, name, tells, by=user.name, at=at))


@router.put("/{name:path}/programs", status_code=HTTPStatus.NO_CONTENT, summary="Set which programs a service reads")
async def set_programs(name: NamedInPath, new: NewPrograms, parts: Its, user: Administrator) -> None:
    """Replaces the programs whose referrals a user with the scope `referrals:read` reads, from the next request on."""
    await _do(parts, user, lambda c, at: people.set_programs(c, name, new.programs or (), by=user.name, at=at))


@router.put("/{name:path}/marks", status_code=HTTPStatus.NO_CONTENT, summary="Note who somebody is")
async def set_marks(name: NamedInPath, new: NewMarks, parts: Its, user: Administrator) -> None:
    """Adds identities of a user, so that they never decide on claims they benefit from."""
    marks = _marks(parts, new.customer, new.email)
    if not marks:
        raise RequestInvalid("name a customer id or an email address of theirs", "customer")
    await _do(parts, user, lambda c, at: people.set_marks(c, name, marks, by=user.name, at=at))


@router.delete("/{name:path}/marks", status_code=HTTPStatus.NO_CONTENT, summary="Forget who somebody is")
async def forget_marks(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """All of it."""
    await _do(parts, user, lambda c, at: people.set_marks(c, name, (), by=user.name, at=at))


@router.put("/{name:path}/contact", status_code=HTTPStatus.NO_CONTENT, summary="Note where somebody is written to")
async def set_contact(name: NamedInPath, new: NewContact, parts: Its, user: Administrator) -> None:
    """Replaces the address; the earlier one is erased."""
    await _do(parts, user, lambda c, at: people.set_contact(c, name, new.email, by=user.name, at=at))


@router.delete("/{name:path}/contact", status_code=HTTPStatus.NO_CONTENT, summary="Write to somebody no more")
async def remove_contact(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """The address is erased."""
    await _do(parts, user, lambda c, at: people.set_contact(c, name, None, by=user.name, at=at))


@router.put("/{name:path}/password", status_code=HTTPStatus.NO_CONTENT, summary="Set somebody's password")
async def set_password(name: NamedInPath, new: NewPassword, parts: Its, user: Administrator) -> None:
    """Their sessions end."""
    typed = new.password.get_secret_value()
    passwords.check(typed, name)
    hashed = await passwords.hash_of(typed)
    await _do(parts, user, lambda c, at: people.set_password(c, name, hashed, by=user.name, at=at))


@router.delete("/{name:path}/password", status_code=HTTPStatus.NO_CONTENT, summary="Remove somebody's password")
async def remove_password(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """Their sessions end."""
    await _do(parts, user, lambda c, at: people.set_password(c, name, None, by=user.name, at=at))


@router.delete(
    "/{name:path}/second-factor", status_code=HTTPStatus.NO_CONTENT, summary="Reset somebody's second factor"
)
async def reset_second_factor(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """For somebody who lost phone and recovery codes. Their sessions end, and they set up another at the next sign-in.
    Nobody resets their own, nor that of somebody whose password they set: one administrator alone could sign in as
    them."""
    await _do(parts, user, lambda c, at: factors.reset(c, name, by=user.name, at=at))


@router.post("/{name:path}/identities", status_code=HTTPStatus.NO_CONTENT, summary="Link somebody to a provider")
async def link_user(name: NamedInPath, new: NewIdentity, parts: Its, user: Administrator) -> None:
    """Lets the person with that subject at the provider sign in as this user."""
    await _do(
        parts,
        user,
        lambda c, at: people.link(c, name, issuer=new.issuer, subject=new.subject, by=user.name, at=at),
    )


@router.delete("/{name:path}/identities", status_code=HTTPStatus.NO_CONTENT, summary="Unlink somebody")
async def unlink_user(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """Removes the identities at all providers; the user's sessions end."""
    await _do(parts, user, lambda c, at: people.unlink(c, name, by=user.name, at=at))


@router.delete("/{name:path}/sessions", status_code=HTTPStatus.NO_CONTENT, summary="Sign somebody out everywhere")
async def end_sessions(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """Ends the user's sessions in all browsers."""
    await _do(parts, user, lambda c, at: people.end_sessions(c, name, by=user.name, at=at))


@router.put("/{name:path}/bar", status_code=HTTPStatus.NO_CONTENT, summary="Bar somebody")
async def bar_user(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """Takes effect at once: tokens and sessions end, and payments they approved that are unsent wait for review."""
    await _do(parts, user, lambda c, at: people.bar(c, name, by=user.name, at=at))


@router.delete("/{name:path}/bar", status_code=HTTPStatus.NO_CONTENT, summary="Let somebody sign in again")
async def unbar_user(name: NamedInPath, parts: Its, user: Administrator) -> None:
    """Earlier tokens stay revoked."""
    await _do(parts, user, lambda c, at: people.unbar(c, name, by=user.name, at=at))


@router.get("/{name:path}/tokens", summary="List somebody's tokens")
async def list_tokens_of(name: NamedInPath, connection: Reading, user: SignedIn) -> list[Token]:
    """Lists tokens, newest first, revoked ones included. Other users' tokens are for administrators."""
    if name != user.name:
        user.need_role(Role.ADMINISTRATOR, "see the tokens of others")
    await people.one(connection, name)
    return [Token(**row._asdict()) for row in await tokens.of(connection, name)]


@router.post("/{name:path}/tokens", status_code=HTTPStatus.CREATED, summary="Issue a token for somebody")
async def issue_token_of(
    name: NamedInPath,
    new: NewTokenOf,
    parts: Its,
    user: SignedIn,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> IssuedToken:
    """For administrators; the audit log records the issuer. For oneself, it works like `POST /v1/tokens`."""
    ends, tells = timedelta(days=new.days), named_rights(new.sources, new.types)
    if name == user.name:
        now = datetime.now(UTC)
        number, token = await parts.database.write(
            tokens.issue,
            user,
            label=new.label,
            scopes=frozenset(new.scopes) or user.scopes,
            expires_at=now + ends,
            at=now,
            tells=tells,
            by_token=credentials.credentials,
        )
        return IssuedToken(id=number, token=token)

    async def issue(connection: AsyncConnection, now: datetime) -> tuple[UUID, str]:
        theirs = await users.named(connection, name)
        wanted = frozenset(new.scopes) or theirs.scopes
        if parts.second_factor_required and theirs.roles and Scope.CLAIMS_DECIDE in wanted:
            raise NotAllowed(f"{name} alone can issue a token that may decide, at /account; name other scopes")
        return await tokens.issue(
            connection,
            theirs,
            label=new.label,
            scopes=wanted,
            expires_at=now + ends,
            at=now,
            tells=tells,
            by=user.name,
        )

    number, token = await acting(parts, user, issue, Role.ADMINISTRATOR)
    return IssuedToken(id=number, token=token)


@router.delete("/{name:path}/tokens/{number}", status_code=HTTPStatus.NO_CONTENT, summary="Revoke somebody's token")
async def revoke_token_of(name: NamedInPath, number: UUID, parts: Its, user: Administrator) -> None:
    """Revokes the token at once; doing it again changes nothing."""
    await _do(parts, user, lambda c, at: tokens.revoke(c, number, by=user.name, at=at, only_of=name))


async def _do(parts: Parts, user: User, act: Callable[[AsyncConnection, datetime], Awaitable[Any]]) -> None:
    await acting(parts, user, act, Role.ADMINISTRATOR)


def _marks(parts: Parts, customer: str | None, email: str | None) -> frozenset[str]:
    marker: Marker = parts.intake.marker
    return marker.marks({"customer": customer, "email": email}) if customer or email else frozenset()
