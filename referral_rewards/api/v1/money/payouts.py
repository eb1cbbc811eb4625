"""Payouts, their history, and the decisions on one that can't continue without a person."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, Text, Uuid, file_of, order_of, page_of
from referral_rewards.api.v1.money.acts import NewPayoutAct, RecordedAct, record
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting import payouts as reporting
from referral_rewards.reporting.lists.payouts import LISTING, PAYOUTS, Wanted
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.payouts import PayoutInList, PayoutShown
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/payouts", tags=["payouts"])


class PayoutPage(Shape):
    """Payouts, the newest first unless another order is asked for. ``next`` is the value of `after` for the next page;
    null at the end."""

    payouts: tuple[PayoutInList, ...]
    next: str | None
    totals: Totals | None = None


class PayoutFilters(ListFilters):
    """Filters of the list of payouts."""

    state: PayoutState | None = None
    rail: Text = None
    program: Text = None
    payee: Text = None
    referral: Text = None
    cycle: UUID | None = None
    sort: str = order_of(LISTING.orders)
    after: Uuid = None


@router.get("", summary="List payouts", response_model=PayoutPage, responses=AS_FILE)
async def list_payouts(
    parts: Its, person: Person, asked: Annotated[PayoutFilters, Query()]
) -> PayoutPage | StreamingResponse:
    """Lists payouts by page, or all of them as a file; for a referral, those that pay any of its rewards. Days are
    those on which payouts were planned."""
    if asked.rail and asked.rail not in CATALOGUE:
        raise RequestInvalid(none_of(asked.rail, CATALOGUE), "rail")
    of = partial(
        Wanted,
        state=asked.state,
        rail=asked.rail,
        program=asked.program,
        payee=asked.payee,
        referral=asked.referral,
        cycle=asked.cycle,
    )
    if asked.format == "csv":
        return await file_of(parts, PAYOUTS, asked, of, asked.program)
    found = await page_of(parts, PAYOUTS, asked, of, asked.program)
    return PayoutPage(payouts=tuple(found.rows), next=found.next, totals=found.totals)


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
