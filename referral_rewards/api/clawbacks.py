"""A paid reward whose ground fell away, and what people decide on it."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from referral_rewards.api.acts import Actable, NewClawbackAct, RecordedAct, record
from referral_rewards.api.openapi import refusals
from referral_rewards.api.parts import Decider, Its, Person, Reading
from referral_rewards.domain.money_acts import SubjectKind
from referral_rewards.reporting.acts import actable

router = APIRouter(prefix="/v1/clawbacks", tags=["clawbacks"])


@router.get("/{case}", summary="Show what a decision would be made against", responses={200: {"model": Actable}})
async def show_case(case: UUID, connection: Reading, person: Person, parts: Its) -> Any:
    """The clawback case with its digest, who has decided what, and which decisions it takes now."""
    return await actable(connection, SubjectKind.CLAWBACK_CASE, case, parts.keys)


@router.post(
    "/{case}/decisions",
    status_code=201,
    summary="Decide",
    responses={200: {"model": RecordedAct, "description": "It was on record"}, **refusals(HTTPStatus.CONFLICT)},
)
async def decide_on_case(
    case: UUID, new: NewClawbackAct, response: Response, person: Decider, parts: Its
) -> RecordedAct:
    """Signs and records a decision of the signed-in person, and wakes what carries it out.

    409 if it changed since it was shown (`stale`), or its rules don't admit the decision; the rule is named. The same
    decision again answers 200 with the first one.
    """
    made = await record(parts, case, new, person)
    if made.repeated:
        response.status_code = 200
    return made
