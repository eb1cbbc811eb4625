"""Payouts, their history, and the decisions on one that can't continue without a person."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.money_acts import NewPayoutAct, RecordedAct, record
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import programs
from referral_rewards.reporting import payouts as reporting
from referral_rewards.reporting.payouts import PayoutInList, PayoutShown, Wanted
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/payouts", tags=["payouts"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


class PayoutPage(Shape):
    """Payouts, the newest first. ``next`` is the value of `after` for the next page; null at the end."""

    payouts: tuple[PayoutInList, ...]
    next: UUID | None


@router.get("", summary="List payouts")
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
) -> PayoutPage:
    """Lists payouts, newest first, by page; for a referral, those that pay any of its rewards."""
    if rail and rail not in CATALOGUE:
        raise RequestInvalid(none_of(rail, CATALOGUE), "rail")
    found = await reporting.payouts(connection, Wanted(state, rail, program, payee, referral, cycle, after, limit))
    if not found:
        await programs.hold_known(connection, program)
    return PayoutPage(payouts=tuple(found), next=found[-1].payout if len(found) == limit else None)


@router.get("/{payout}", summary="Show a payout")
async def show_payout(payout: UUID, connection: Reading, person: Person, parts: Its) -> PayoutShown:
    """Returns its rewards, deductions, history, the decisions so far, and the decisions that are possible now."""
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

    409 if a person decided on it since it was shown (`decided_meanwhile`: who, what and when), if it changed otherwise
    (`stale`), or if its rules forbid the decision; the rule is named. The same
    decision again returns 200 with the first one.
    """
    made = await record(parts, payout, new, person)
    if made.repeated:
        response.status_code = 200
    return made
