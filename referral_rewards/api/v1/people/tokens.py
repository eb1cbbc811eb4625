"""One's own API tokens, for programs, and whose token it is."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Its, Reading, SignedIn, acting, bearer
from referral_rewards.api.v1.fields import Sources, Types, named_rights
from referral_rewards.domain.people.authority import Role, Scope
from referral_rewards.register.people import tokens

router = APIRouter(prefix="/v1/tokens", tags=["tokens"])


class NewToken(BaseModel):
    """A token to issue: its purpose, its scopes, and its expiry (a year at most). One that tells facts may tell those
    of ``sources`` and ``types``; without these, all that its user may tell now."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=tokens.LABEL_LENGTH_MAX)]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    sources: Sources = None
    types: Types = None
    expires_at: AwareDatetime


class Token(BaseModel):
    """A token as it is stored, without the secret. It may tell facts of ``sources`` and ``types``; `*` is every one."""

    id: UUID
    label: str
    scopes: list[str]
    sources: list[str]
    types: list[str]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class IssuedToken(BaseModel):
    """A token that was issued. ``token`` is shown this once."""

    id: UUID
    token: str


@router.get("", summary="List one's own tokens")
async def list_tokens(connection: Reading, user: SignedIn) -> list[Token]:
    """Newest first, revoked ones included."""
    return [Token(**row._asdict()) for row in await tokens.of(connection, user.name)]


@router.post("", status_code=201, summary="Issue a token")
async def issue_token(
    new: NewToken,
    parts: Its,
    user: SignedIn,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> IssuedToken:
    """Issues a token with scopes of the token in the request or fewer, that expires no later than that one."""
    number, token = await parts.database.write(
        tokens.issue,
        user,
        label=new.label,
        scopes=frozenset(new.scopes),
        expires_at=new.expires_at.astimezone(UTC),
        at=datetime.now(UTC),
        tells=named_rights(new.sources, new.types),
        by_token=credentials.credentials,
    )
    return IssuedToken(id=number, token=token)


@router.delete("/{number}", status_code=204, summary="Revoke a token")
async def revoke_token(number: UUID, parts: Its, user: SignedIn) -> None:
    """Revokes one of your own tokens at once; administrators may revoke any. Doing it again changes nothing."""
    if Role.ADMINISTRATOR in user.roles and Scope.CLAIMS_DECIDE in user.scopes:
        await acting(parts, user, lambda c, at: tokens.revoke(c, number, by=user.name, at=at), Role.ADMINISTRATOR)
        return
    await parts.database.write(tokens.revoke, number, by=user.name, at=datetime.now(UTC), only_of=user.name)


whose = APIRouter(prefix="/v1/me", tags=["tokens"])


class Myself(BaseModel):
    """The user whose token it is, with the roles held and what the token may be used for. It may tell facts of
    ``sources`` and ``types``, `*` for every one."""

    name: str
    roles: list[Role]
    scopes: list[Scope]
    sources: list[str] = []
    types: list[str] = []


@whose.get("", summary="Whose token it is")
async def show_myself(user: SignedIn) -> Myself:
    """Returns the user, their roles, and what this token may be used for."""
    may = user.tells
    return Myself(
        name=user.name,
        roles=sorted(user.roles),
        scopes=sorted(user.scopes),
        sources=sorted(may.sources),
        types=sorted(may.types),
    )
