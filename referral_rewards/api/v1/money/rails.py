"""The rails that payouts wait for, and the payments that a restored register had forgotten."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Response

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.money.acts import NewPaymentAct, NewRailAct, RecordedAct, record
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.restores.forgotten import PaymentState
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.reporting import rails as reporting
from referral_rewards.reporting import restores
from referral_rewards.reporting.rails import Rail
from referral_rewards.reporting.restores import ForgottenPayment, ForgottenPaymentShown, RailShown

router = APIRouter(prefix="/v1/rails", tags=["payouts"])
forgotten = APIRouter(prefix="/v1/forgotten-payments", tags=["payouts"])

_RAILS: Final[list[Any]] = sorted(CATALOGUE)
Name = Annotated[str, Path(json_schema_extra={"enum": _RAILS})]


@router.get("", summary="List the rails")
async def list_rails(connection: Reading, person: Person) -> list[Rail]:
    """Lists the rails that terms may name: connected or not, since when and why halted, and how many payouts wait."""
    return await reporting.rails(connection, datetime.now(UTC))


@router.get("/{rail}", summary="Show a rail", responses=refusals(HTTPStatus.NOT_FOUND))
async def show_rail(rail: Name, connection: Reading, person: Person, parts: Its) -> RailShown:
    """Returns whether it is halted after a restore of the register, what remains before it can be opened again, and
    the payments that the register had forgotten."""
    return await restores.rail(connection, rail, parts.keys)


@router.post(
    "/{rail}/decisions",
    status_code=201,
    summary="Decide",
    responses={
        200: {"model": RecordedAct, "description": "It was on record"},
        **refusals(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND),
    },
)
async def decide_on_rail(rail: Name, new: NewRailAct, response: Response, person: Decider, parts: Its) -> RecordedAct:
    """Signs and records a decision of the signed-in person, and opens the rail again.

    409 with the rule `something_remains` if a payment of ours is unexplained or no reconciliation covers the time since
    the restore; the refusal says what remains.
    """
    if rail not in CATALOGUE:
        raise NotFound("rail", rail)
    made = await record(parts, rail_id(rail), new, person)
    if made.repeated:
        response.status_code = 200
    return made


@forgotten.get("", summary="List forgotten payments")
async def list_forgotten(
    connection: Reading, person: Person, state: PaymentState | None = None
) -> list[ForgottenPayment]:
    """Lists the payments that rails show under an id of ours and that the register lacked, oldest first, at most
    1000."""
    return await restores.payments(connection, state=state)


@forgotten.get("/{payment}", summary="Show a forgotten payment", responses=refusals(HTTPStatus.NOT_FOUND))
async def show_forgotten(payment: UUID, connection: Reading, person: Person, parts: Its) -> ForgottenPaymentShown:
    """Returns the payment, the decisions so far, and the decisions that are possible now."""
    return await restores.payment(connection, payment, parts.keys)


@forgotten.post(
    "/{payment}/decisions",
    status_code=201,
    summary="Decide",
    responses={
        200: {"model": RecordedAct, "description": "It was on record"},
        **refusals(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND),
    },
)
async def decide_on_forgotten(
    payment: UUID, new: NewPaymentAct, response: Response, person: Decider, parts: Its
) -> RecordedAct:
    """Signs and records a decision of the signed-in person: which payout it was, or that it is not ours.

    To assign it, `reference` is the id of the payout, which then counts as paid by it. Nothing is sent.
    """
    made = await record(parts, payment, new, person)
    if made.repeated:
        response.status_code = 200
    return made
