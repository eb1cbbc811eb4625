"""Payout cycles, the preview of the next one, and the decisions on them."""

from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.recording import recorded
from referral_rewards.api.v1 import fields, listing
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, Uuid, file_of, order_of, page_of
from referral_rewards.api.v1.money.acts import NewCycleAct, RecordedAct, record
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import REASONS, ROLES, MoneyAct
from referral_rewards.domain.errors import NotAllowed, NotFound
from referral_rewards.register import audit
from referral_rewards.register.cycles import leaving
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.people import sessions
from referral_rewards.reporting import cycles as reporting
from referral_rewards.reporting.cycles import CycleInList, CycleRow, CycleShown, Preview, Summary
from referral_rewards.reporting.lists.cycles import CYCLES, LISTING, Wanted
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.shape import Instant, Shape

router = APIRouter(prefix="/v1/cycles", tags=["cycles"])

Text = Annotated[str | None, Query(max_length=500, pattern=fields.TEXT)]


class CyclePage(Shape):
    """Cycles, the latest first unless another order is asked for. ``next`` is the value of `after` for the next page;
    null at the end."""

    cycles: tuple[CycleInList, ...]
    next: str | None
    totals: Totals | None = None


class CycleFilters(ListFilters):
    """Filters of the list of cycles."""

    program: listing.Text = None
    state: CycleState | None = None
    sort: str = order_of(LISTING.orders)
    after: Uuid = None


class PayoutsInCycle(Shape):
    """Payouts of a cycle by their ids. ``next`` is the value of `after` for the next page; null at the end."""

    payouts: tuple[CycleRow, ...]
    next: UUID | None


class PreviewSummary(Summary):
    """The totals of a program's next cycle, from what is due now."""

    program: str
    due_on: date
    opens_at: Instant
    minimum_minor: int | None
    currency: str


class NewCycle(BaseModel):
    """A cycle to open today, instead of on its day."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"program": "acme-friends"}]})

    program: fields.GivenId


class OpenedCycle(BaseModel):
    """The program's cycle of today; ``repeated`` if it was open already."""

    cycle: UUID
    program: str
    due_on: date
    repeated: bool


class LeavingPayee(BaseModel):
    """A payee to whom less than the minimum is due, in minor units, and the cycle that would pay it below that."""

    program: str
    payee: str
    cycle: UUID
    due_on: date
    amount_minor: int
    minimum_minor: int | None
    currency: str
    digest: str
    takes: list[MoneyAct]


class NewBelowMinimum(BaseModel):
    """A decision to pay a payee below the minimum. ``digest`` is from `GET /v1/cycles/below-minimum`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "program": "acme-friends",
                    "payee": "dexter",
                    "reason": "payee_leaves",
                    "note": "Closed the account; the law of the state asks for it.",
                    "digest": fields.EXAMPLE_DIGEST,
                }
            ],
        },
    )

    program: fields.GivenId
    payee: fields.GivenId
    reason: Annotated[str, Field(json_schema_extra={"enum": list(REASONS[MoneyAct.PAY_BELOW_MINIMUM])})]
    note: fields.Note
    digest: fields.Digest


class OrderedBelowMinimum(BaseModel):
    """The recorded decision, and the cycle that pays; ``repeated`` if the same one was recorded before."""

    id: UUID
    seq: int
    program: str
    payee: str
    cycle: UUID
    due_on: date
    user: str
    roles: list[str]
    reason: str
    digest: str
    decided_at: Instant
    repeated: bool


@router.get(
    "", summary="List payout cycles", response_model=CyclePage, response_model_exclude_unset=True, responses=AS_FILE
)
async def list_cycles(
    parts: Its, person: Person, asked: Annotated[CycleFilters, Query()]
) -> CyclePage | StreamingResponse:
    """Lists cycles by page, or all of them as a file. Days are those on which cycles are due. The payouts of one are at
    `GET /v1/payouts?cycle=`."""
    of = partial(Wanted, program=asked.program, state=asked.state)
    if asked.format == "csv":
        return await file_of(parts, CYCLES, asked, of, asked.program)
    found = await page_of(parts, CYCLES, asked, of, asked.program)
    return CyclePage(cycles=tuple(found.rows), next=found.next, totals=found.totals)


@router.get(
    "/preview",
    summary="Show what the next cycle would pay",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
async def preview_cycle(
    connection: Reading,
    person: Person,
    program: Annotated[str, Query(max_length=500, pattern=fields.TEXT, examples=["acme-friends"])],
    after: Text = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Payees.")] = 100,
) -> Preview:
    """Lists by payee, by page: what is due now, and what would be carried forward, with the reason."""
    return await reporting.preview(connection, program, datetime.now(UTC), after=after, limit=limit)


@router.get(
    "/preview/summary",
    summary="Show what the next cycle would come to",
    response_model_exclude_unset=True,
    responses=refusals(HTTPStatus.NOT_FOUND),
)
async def summarize_preview(
    connection: Reading,
    person: Person,
    program: Annotated[str, Query(max_length=500, pattern=fields.TEXT, examples=["acme-friends"])],
) -> PreviewSummary:
    """Returns the totals by rail and currency, and those carried forward by reason."""
    now = datetime.now(UTC)
    first = await reporting.preview(connection, program, now, limit=1)
    head = {name: getattr(first, name) for name in ("program", "due_on", "opens_at", "minimum_minor", "currency")}
    totals = await reporting.preview_totals(connection, program, now)
    return PreviewSummary(**head, totals=totals.totals, carried=totals.carried)


@router.post(
    "",
    status_code=201,
    summary="Open a cycle",
    responses={200: {"model": OpenedCycle, "description": "It was open"}, **refusals(HTTPStatus.NOT_FOUND)},
)
async def open_cycle(new: NewCycle, response: Response, person: Decider, parts: Its) -> OpenedCycle:
    """Opens a cycle today, on any day. It gathers what is due and pays nothing until finance releases it."""

    async def opening(connection: AsyncConnection) -> OpenedCycle:
        now = datetime.now(UTC)
        if not (await sessions.still(connection, person, at=now)).roles & ROLES[MoneyAct.STOP_CYCLE]:
            raise NotAllowed(f"{person.name} may not open a payout cycle: it needs a role that may stop one")
        opened, repeated = await cycles.open_early(connection, new.program, now)
        row = await cycles.row(connection, opened)
        assert row is not None
        if not repeated:
            await audit.note(connection, actor=person.name, act="cycle.opened", subject=str(opened), at=now)
        return OpenedCycle(cycle=opened, program=row.program, due_on=row.due_on, repeated=repeated)

    opened = await parts.database.write(opening)
    if opened.repeated:
        response.status_code = 200
    return opened


@router.get(
    "/below-minimum",
    summary="Show a payee who may be paid below the minimum",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
async def show_leaving_payee(
    connection: Reading,
    person: Person,
    parts: Its,
    program: Annotated[str, Query(max_length=500, pattern=fields.TEXT, examples=["acme-friends"])],
    payee: Annotated[str, Query(max_length=500, pattern=fields.TEXT, examples=["dexter"])],
) -> LeavingPayee:
    """Returns what is due to the payee, the cycle that would pay it, and the digest that a decision names."""
    found = await leaving.shown(connection, program, payee, datetime.now(UTC), parts.keys)
    return LeavingPayee(
        program=program,
        payee=payee,
        cycle=found.cycle,
        due_on=found.due_on,
        amount_minor=found.amount_minor,
        minimum_minor=found.minimum_minor,
        currency=found.subject.currency,
        digest=found.subject.digest,
        takes=[act for act in MoneyAct if act in found.subject.takes],
    )


@router.post(
    "/below-minimum",
    status_code=201,
    summary="Pay a leaving payee below the minimum",
    responses={
        200: {"model": OrderedBelowMinimum, "description": "It was on record"},
        **refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
async def pay_below_minimum(
    new: NewBelowMinimum, response: Response, person: Decider, parts: Its
) -> OrderedBelowMinimum:
    """For finance. Signs and records that the payee is paid once, in one cycle, although less than the minimum is due.

    It opens the cycle of today, unless that is past the payee: then the next cycle pays. Finance releases it as any
    other. The same decision again returns 200 with the first one.
    """
    async with parts.database.reading() as connection:
        shown = await leaving.shown(connection, new.program, new.payee, datetime.now(UTC), parts.keys)
    asked = Asked(new.payee, MoneyAct.PAY_BELOW_MINIMUM, new.reason, new.note, new.digest, program=new.program)
    decision, repeated = await recorded(parts, asked, person)
    if repeated:
        response.status_code = 200
    return OrderedBelowMinimum(
        id=decision.id,
        seq=decision.seq,
        program=new.program,
        payee=new.payee,
        cycle=shown.cycle,
        due_on=shown.due_on,
        user=decision.user,
        roles=sorted(decision.roles),
        reason=decision.reason,
        digest=decision.digest,
        decided_at=decision.decided_at,
        repeated=repeated,
    )


@router.get("/{cycle}", summary="Show a payout cycle", response_model_exclude_unset=True)
async def show_cycle(cycle: UUID, connection: Reading, person: Person, parts: Its) -> CycleShown:
    """Returns the totals, the states of the payouts, the decisions so far, and the decisions that are possible now."""
    return await reporting.cycle(connection, cycle, parts.keys)


@router.get("/{cycle}/payouts", summary="List a cycle's payouts")
async def list_payouts_of_cycle(
    cycle: UUID,
    connection: Reading,
    person: Person,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> PayoutsInCycle:
    """Lists the payouts with the referrals that each pays, by page."""
    if await cycles.row(connection, cycle) is None:
        raise NotFound("payout cycle", str(cycle))
    found = await reporting.rows(connection, cycle, after=after, limit=limit)
    return PayoutsInCycle(payouts=tuple(found), next=found[-1].payout if len(found) == limit else None)


@router.post(
    "/{cycle}/decisions",
    status_code=201,
    summary="Decide",
    responses={200: {"model": RecordedAct, "description": "It was on record"}, **refusals(HTTPStatus.CONFLICT)},
)
async def decide_on_cycle(
    cycle: UUID, new: NewCycleAct, response: Response, person: Decider, parts: Its
) -> RecordedAct:
    """Signs and records a decision of the signed-in person, and wakes the workflow that carries it out.

    409 if a person decided on it since it was shown (`decided_meanwhile`: who, what and when), if it changed otherwise
    (`stale`), or if its rules forbid the decision; the rule is named. The same
    decision again returns 200 with the first one.
    """
    made = await record(parts, cycle, new, person)
    if made.repeated:
        response.status_code = 200
    return made
