"""Clawback cases: paid rewards that turned out not to be earned, and the decisions on them."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.money_acts import NewClawback, NewClawbackAct, RecordedAct, record
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.register import programs
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.clawbacks import CaseInList, CaseShown, Owed, RewardShown, Wanted
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/clawbacks", tags=["clawbacks"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


class CasePage(Shape):
    """Cases, the newest first. ``next`` is the value of `after` for the next page; null at the end."""

    cases: tuple[CaseInList, ...]
    next: UUID | None


class CaseWithOwed(CaseShown):
    """A case, with what its payee owes."""

    owed: tuple[Owed, ...]


@router.get("", summary="List cases")
async def list_cases(
    connection: Reading,
    person: Person,
    state: CaseState | None = None,
    program: Text = None,
    payee: Text = None,
    referral: Text = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> CasePage:
    """Lists cases, newest first, by page."""
    found = await reporting.cases(connection, Wanted(state, program, payee, referral, after, limit))
    if not found:
        await programs.hold_known(connection, program)
    return CasePage(cases=tuple(found), next=found[-1].case if len(found) == limit else None)


@router.post(
    "",
    status_code=201,
    summary="Open a case by hand",
    responses={
        200: {"model": RecordedAct, "description": "It was on record"},
        **refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
async def open_case(new: NewClawback, response: Response, person: Decider, parts: Its) -> RecordedAct:
    """Signs and records that finance opens a case over an amount of a paid reward, at any time after the payment.

    The amount is at most what was paid and not yet taken (`too_much`). No money moves before a decision on the case.
    """
    made = await record(parts, new.reward, new, person)
    if made.repeated:
        response.status_code = 200
    return made


@router.get("/rewards/{reward}", summary="Show a paid reward")
async def show_reward(reward: UUID, connection: Reading, person: Person, parts: Its) -> RewardShown:
    """Returns what was paid and taken of a reward, and the digest with which a case of it can be opened."""
    return await reporting.reward(connection, reward, parts.keys)


@router.get("/{case}", summary="Show a case")
async def show_case(case: UUID, connection: Reading, person: Person, parts: Its) -> CaseWithOwed:
    """Returns the reward, what was done to recover it, the decisions so far, and those that are possible now."""
    found = await reporting.case(connection, case, parts.keys)
    return CaseWithOwed(**dict(found), owed=tuple(await reporting.owed(connection, found.payee)))


@router.post(
    "/{case}/decisions",
    status_code=201,
    summary="Decide",
    responses={200: {"model": RecordedAct, "description": "It was on record"}, **refusals(HTTPStatus.CONFLICT)},
)
async def decide_on_case(
    case: UUID, new: NewClawbackAct, response: Response, person: Decider, parts: Its
) -> RecordedAct:
    """Signs and records a decision of the signed-in person, and carries it out or wakes its workflow.

    409 if a person decided on it since it was shown (`decided_meanwhile`: who, what and when), if it changed otherwise
    (`stale`), or if its rules forbid the decision; the rule is named. The same
    decision again returns 200 with the first one.
    """
    made = await record(parts, case, new, person)
    if made.repeated:
        response.status_code = 200
    return made
