"""Changes of users' accounts by others, and their confirmation by a second administrator."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Administrator, Its, Reading, acting
from referral_rewards.api.v1.fields import NamedInPath
from referral_rewards.domain.people.account_changes import AccountAct, Confirmer
from referral_rewards.domain.people.authority import Role
from referral_rewards.register.people import account_changes
from referral_rewards.register.people import administration as people
from referral_rewards.reporting.shape import Instant

router = APIRouter(prefix="/v1/users", tags=["people"])


class Change(BaseModel):
    """A change of a user's account by somebody else, which nobody confirmed yet. ``what`` says it in words."""

    id: UUID
    act: AccountAct
    changed_by: str
    changed_at: Instant
    what: str


class Confirmation(BaseModel):
    """The changes to confirm, as `GET /v1/users/{name}/changes` shows them: all of them."""

    model_config = ConfigDict(extra="forbid")

    changes: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


@router.get("/{name:path}/changes", summary="List unconfirmed changes of somebody's account")
async def list_changes_of(name: NamedInPath, connection: Reading, user: Administrator) -> list[Change]:
    """Lists by whom somebody's way to sign in, or their address, was changed, the earliest first. Until another
    administrator confirms it, that user decides nothing."""
    await people.one(connection, name)
    return [
        Change(id=each.id, act=each.act, changed_by=each.changed_by, changed_at=each.changed_at, what=each.in_words)
        for each in await account_changes.unconfirmed(connection, name)
    ]


@router.put(
    "/{name:path}/confirmation", status_code=HTTPStatus.NO_CONTENT, summary="Confirm changes of somebody's account"
)
async def confirm_changes(name: NamedInPath, new: Confirmation, parts: Its, user: Administrator) -> None:
    """Lets the user decide again. Nobody confirms what they changed themselves, nor changes of their own account. A
    change that was made since the list was read refuses all."""

    async def confirm(connection: AsyncConnection, now: datetime) -> None:
        await people.one(connection, name)
        confirmer = Confirmer(user.name, user.marks)
        await account_changes.confirm(connection, name, new.changes, confirmer, at=now)

    await acting(parts, user, confirm, Role.ADMINISTRATOR)
