"""Payouts, their whole life, and what people decide on one that can't go on by itself."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.money_acts import Actable, NewPayoutAct, RecordedAct, record
from referral_rewards.api.v1.shapes import Instant
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.reporting import payouts as reporting
from referral_rewards.reporting.payouts import Wanted

router = APIRouter(prefix="/v1/payouts", tags=["payouts"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


class PayoutInList(BaseModel):
    """A payout: one provider call, for one reward or, in a payout cycle, for several of one payee.

    ``to_do`` says what a person does about it, null where it goes on by itself or is done with; ``key`` is the name
    under which its provider knows it, ``reference`` the provider's own. ``amount_minor`` is what is sent: its rewards
    less its deductions.
    """

    model_config = ConfigDict(extra="allow")

    payout: UUID
    referral: str | None
    cycle: UUID | None
    program: str
    payee: str
    rail: str
    amount_minor: int
    currency: str
    state: PayoutState
    why: str | None
    to_do: str | None
    generation: int
    key: str
    reference: str | None
    destination: str | None
    first_sent_at: Instant | None
    settled_at: Instant | None
    created_at: Instant
    updated_at: Instant


class PayoutPage(BaseModel):
    """Payouts, the newest first. ``next`` is what `after` takes for the page that follows; null at the end."""

    payouts: list[PayoutInList]
    next: UUID | None


class LegPaid(BaseModel):
    """A reward that it pays; one that is not ``live`` was taken out of it again."""

    leg: UUID
    referral: str
    role: Side
    kind: RewardKind
    amount_minor: int
    currency: str
    state: str
    live: bool


class Deduction(BaseModel):
    """What it was lowered by: kept against the clawback ``source``, or withheld under the tax regime of that name."""

    kind: DeductionKind
    source: str
    amount_minor: int
    live: bool


class Step(BaseModel):
    """What was done about it, what came of that, and where it stood then."""

    generation: int
    at: Instant
    act: str
    state: PayoutState
    why: str | None
    reference: str | None


class PayoutShown(PayoutInList, Actable):
    """A payout with its legs, deductions, steps and decisions, and what a decision would be made against now."""

    state: PayoutState
    legs: list[LegPaid]
    deductions: list[Deduction]
    steps: list[Step]


@router.get("", summary="List payouts", responses={200: {"model": PayoutPage}})
async def list_payouts(
    connection: Reading,
    person: Person,
    state: PayoutState | None = None,
    rail: Text = None,
    program: Text = None,
    payee: Text = None,
    referral: Text = None,
    cycle: UUID | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """The newest first, a page at a time; of a referral, those that pay any of its rewards."""
    found = await reporting.payouts(connection, Wanted(state, rail, program, payee, referral, cycle, after, limit))
    return {"payouts": found, "next": found[-1]["payout"] if len(found) == limit else None}


@router.get("/{payout}", summary="Show a payout", responses={200: {"model": PayoutShown}})
async def show_payout(payout: UUID, connection: Reading, person: Person, parts: Its) -> Any:
    """Its rewards, deductions, every step of its life, who has decided what, and which decisions it takes now."""
    return await reporting.payout(connection, payout, parts.keys)


@router.post(
    "/{payout}/decisions",
    status_code=201,
    summary="Decide",
    responses={200: {"model": RecordedAct, "description": "It was on record"}, **refusals(HTTPStatus.CONFLICT)},
)
async def decide_on_payout(
    payout: UUID, new: NewPayoutAct, response: Response, person: Decider, parts: Its
) -> RecordedAct:
    """Signs and records a decision of the signed-in person, and wakes the payout.

    409 if somebody decided on it since it was shown (`decided_meanwhile`: who, what and when), if it changed otherwise
    (`stale`), or if its rules don't admit the decision; the rule is named. The same
    decision again answers 200 with the first one.
    """
    made = await record(parts, payout, new, person)
    if made.repeated:
        response.status_code = 200
    return made
