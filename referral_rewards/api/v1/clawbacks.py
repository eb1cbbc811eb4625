"""Paid rewards whose ground fell away, and what people decide on them."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.money_acts import Actable, NewClawbackAct, RecordedAct, record
from referral_rewards.api.v1.shapes import Instant
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackKind, ClawbackState
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.clawbacks import Wanted

router = APIRouter(prefix="/v1/clawbacks", tags=["clawbacks"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


class ClawbackMade(BaseModel):
    """One recovery that a person decided on, under the ``key`` by which the provider knows it if it was reversed."""

    clawback: UUID
    kind: ClawbackKind
    amount_minor: int
    recovered_minor: int
    state: ClawbackState
    why: str | None
    key: str
    reference: str | None
    first_sent_at: Instant | None
    created_at: Instant
    updated_at: Instant


class CaseInList(BaseModel):
    """A paid reward whose ground fell away, by the fact that says so.

    ``proposed_minor`` is what the rules would have back, null where they can't tell; ``room_minor`` what is left of the
    reward; ``to_do`` what a person does about it, null where nothing is left to do.
    """

    model_config = ConfigDict(extra="allow")

    case: UUID
    referral: str
    program: str
    leg: UUID
    role: Side
    payee: str
    payout: UUID | None
    rail: str
    state: CaseState
    why: str
    to_do: str | None
    opened_at: Instant
    settled_at: Instant | None
    currency: str
    paid_minor: int
    taken_minor: int
    proposed_minor: int | None
    room_minor: int
    clawbacks: list[ClawbackMade]


class CasePage(BaseModel):
    """Cases, the newest first. ``next`` is what `after` takes for the page that follows; null at the end."""

    cases: list[CaseInList]
    next: UUID | None


class CaseShown(CaseInList, Actable):
    """A case with its decisions, and what a decision would be made against now."""

    state: CaseState
    referral: str
    room_minor: int


@router.get("", summary="List cases", responses={200: {"model": CasePage}})
async def list_cases(
    connection: Reading,
    person: Person,
    state: CaseState | None = None,
    program: Text = None,
    payee: Text = None,
    referral: Text = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """The newest first, a page at a time."""
    found = await reporting.cases(connection, Wanted(state, program, payee, referral, after, limit))
    return {"cases": found, "next": found[-1]["case"] if len(found) == limit else None}


@router.get("/{case}", summary="Show a case", responses={200: {"model": CaseShown}})
async def show_case(case: UUID, connection: Reading, person: Person, parts: Its) -> Any:
    """The reward it is about, what was done to have it back, who has decided what, and which decisions it takes."""
    return await reporting.case(connection, case, parts.keys)


@router.post(
    "/{case}/decisions",
    status_code=201,
    summary="Decide",
    responses={200: {"model": RecordedAct, "description": "It was on record"}, **refusals(HTTPStatus.CONFLICT)},
)
async def decide_on_case(
    case: UUID, new: NewClawbackAct, response: Response, person: Decider, parts: Its
) -> RecordedAct:
    """Signs and records a decision of the signed-in person, and does or wakes what it comes to.

    409 if somebody decided on it since it was shown (`decided_meanwhile`: who, what and when), if it changed otherwise
    (`stale`), or if its rules don't admit the decision; the rule is named. The same
    decision again answers 200 with the first one.
    """
    made = await record(parts, case, new, person)
    if made.repeated:
        response.status_code = 200
    return made
