"""Setting aside what waits in the queue and no decision ends."""

from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Decider, Its
from referral_rewards.api.openapi import refusals
from referral_rewards.api.setting_aside import set_aside
from referral_rewards.api.v1 import fields
from referral_rewards.domain.decisions.setting_aside import SettingAside
from referral_rewards.domain.decisions.waiting import Waits

router = APIRouter(prefix="/v1/queue", tags=["claims"])

_EXAMPLE: Final[dict[str, Any]] = {
    "exception": "parked",
    "referral": None,
    "subject": "acme-frends",
    "seen": 3,
    "note": "The shop sent these again under the right name.",
}


class NewSettingAside(BaseModel):
    """An entry of the queue by its key, as `GET /v1/claims` lists it, and why nothing is to be done about it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    exception: Waits
    referral: fields.GivenId | None = None
    subject: Annotated[str, Field(pattern=fields.TEXT, max_length=300)] = ""
    seen: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="As the entry told it: what comes later is not covered.")
    ]
    note: fields.Note


class SetAside(BaseModel):
    """It left the queue; more that is told of it brings it back."""

    id: UUID


@router.post(
    "/set-aside",
    status_code=HTTPStatus.CREATED,
    summary="Set an exception aside",
    responses=refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def set_one_aside(new: NewSettingAside, person: Decider, parts: Its) -> SetAside:
    """Records with a note that nothing is to be done about parked facts, a claim without a referrer, an order without a
    referral, or the report of a purchase on an open referral. Takes finance, operations or a program owner.

    No verdict changes and no fact is lost. What a decision ends is refused (409), and so is an entry of which more was
    told than `seen`.
    """
    asked = SettingAside(new.exception, new.referral or "", new.subject, new.seen, new.note)
    return SetAside(id=await set_aside(parts, person, asked))
