"""The rails on the desk: which are halted, what remains before one opens, and what a restored register forgot."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response

from referral_rewards.api.dependencies import Its, Parts, Reading
from referral_rewards.api.desk.money import acts
from referral_rewards.api.desk.money.acts import Said, Typed
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.restores.forgotten import PaymentState
from referral_rewards.domain.restores.reopening import rail_id, rail_of
from referral_rewards.reporting import rails, restores

router = APIRouter()

_HERE: Final = "/payouts"


@router.get("/rails")
@router.get("/forgotten")
async def list_rails(visit: Reader, connection: Reading) -> Response:
    """Every rail, and the payments that a restored register had forgotten and that wait for a person."""
    return page(
        "rails.html",
        visit,
        here=_HERE,
        found=await rails.rails(connection, datetime.now(UTC)),
        id_of=rail_id,
        restores=await restores.restores(connection),
        waiting=await restores.payments(connection, state=PaymentState.WAITING),
    )


@router.get("/rails/{rail}")
async def show_rail(rail: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """One rail; ``recorded`` is the number of the decision that was just made."""
    return await _rail(parts, visit, rail, Typed(), Said(recorded=recorded))


@router.post("/rails/{rail}")
async def decide_on_rail(rail: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _rail(parts, visit, rail, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.RAIL, rail, shown)


@router.get("/forgotten/{payment}")
async def show_payment(payment: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """One forgotten payment; ``recorded`` is the number of the decision that was just made."""
    return await _payment(parts, visit, payment, Typed(), Said(recorded=recorded))


@router.post("/forgotten/{payment}")
async def decide_on_payment(payment: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _payment(parts, visit, payment, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.FORGOTTEN_PAYMENT, payment, shown)


async def _rail(parts: Parts, visit: Visit, rail: UUID, typed: Typed, said: Said) -> Response:
    name = rail_of(rail)
    if name is None:
        raise NotFound("rail", str(rail))
    async with parts.database.reading() as connection:
        found = await restores.rail(connection, name, parts.keys)
    form = await acts.form_of(parts, visit, SubjectKind.RAIL, rail, typed, said)
    return page("rail.html", visit, status=said.status, here=_HERE, shown=found, form=form)


async def _payment(parts: Parts, visit: Visit, payment: UUID, typed: Typed, said: Said) -> Response:
    async with parts.database.reading() as connection:
        found = await restores.payment(connection, payment, parts.keys)
    form = await acts.form_of(parts, visit, SubjectKind.FORGOTTEN_PAYMENT, payment, typed, said)
    return page(
        "forgotten_payment.html",
        visit,
        status=said.status,
        here=_HERE,
        shown=found,
        rail=rail_id(found.rail),
        form=form,
    )
