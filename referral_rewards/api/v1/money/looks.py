"""Looks at payees in clear: for finance, each on record."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Decider, Its
from referral_rewards.api.looking import look
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1 import fields
from referral_rewards.domain.payees.in_clear import CHOSEN
from referral_rewards.reporting.payees.in_clear import PayeeInClear

router = APIRouter(prefix="/v1/looks", tags=["payees"])


class NewLook(BaseModel):
    """A look at one payee, and why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"payee": "dexter", "why": "redirect"}]})

    payee: fields.GivenId
    why: Annotated[str, Field(json_schema_extra={"enum": list(CHOSEN)})]


@router.post("", status_code=201, summary="Look at a payee in clear", responses=refusals(HTTPStatus.NOT_FOUND))
async def look_at_payee(new: NewLook, response: Response, person: Decider, parts: Its) -> PayeeInClear:
    """Returns a payee's names and every destination ever told of them, in clear. Takes the role finance.

    Who looked, when, at whom and why stands in the audit log (`payee.seen`) before the answer leaves.
    """
    response.headers["Cache-Control"] = "no-store"
    return await look(parts, person, new.payee, new.why)
