"""Clawback cases: paid rewards that turned out not to be earned, and the decisions on them."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, Text, Uuid, file_of, order_of, page_of
from referral_rewards.api.v1.money.acts import NewClawback, NewClawbackAct, RecordedAct, record
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.clawbacks import CaseInList, CaseShown, Owed, RewardShown
from referral_rewards.reporting.lists.clawbacks import CASES, LISTING, Wanted
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/clawbacks", tags=["clawbacks"])


class CasePage(Shape):
    """Cases, the newest first unless another order is asked for. ``next`` is the value of `after` for the next page;
    null at the end."""

    cases: tuple[CaseInList, ...]
    next: str | None
    totals: Totals | None = None


class CaseFilters(ListFilters):
    """Filters of the list of cases."""

    state: CaseState | None = None
    program: Text = None
    payee: Text = None
    referral: Text = None
    sort: str = order_of(LISTING.orders)
    after: Uuid = None


class CaseWithOwed(CaseShown):
    """A case, with what its payee owes."""

    owed: tuple[Owed, ...]


@router.get("", summary="List cases", response_model=CasePage, responses=AS_FILE)
async def list_cases(
    parts: Its, person: Person, asked: Annotated[CaseFilters, Query()]
) -> CasePage | StreamingResponse:
    """Lists cases by page, or all of them as a file. Days are those on which cases were opened."""
    of = partial(
        Wanted,
        state=asked.state,
        program=asked.program,
        payee=asked.payee,
        referral=asked.referral,
    )
    if asked.format == "csv":
        return await file_of(parts, CASES, asked, of, asked.program)
    found = await page_of(parts, CASES, asked, of, asked.program)
    return CasePage(cases=tuple(found.rows), next=found.next, totals=found.totals)


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
