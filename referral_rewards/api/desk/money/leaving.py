"""The page on which finance pays a payee who leaves, once, below the minimum of the program's cycles."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.money import one_act
from referral_rewards.api.desk.money.acts import Said, Typed
from referral_rewards.api.desk.money.one_act import OneAct
from referral_rewards.api.desk.pages import page, zone_of
from referral_rewards.api.desk.session.visiting import Bookkeeper, SentForm, Visit
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.money import display
from referral_rewards.register.cycles import leaving
from referral_rewards.register.cycles.leaving import Leaving

router = APIRouter()

_PATH: Final = "/cycles/below-minimum"
_Named = Annotated[str, Query(max_length=500, pattern=TEXT)]


@router.get(_PATH)
async def show_leaving(
    program: _Named, payee: _Named, visit: Bookkeeper, parts: Its, recorded: int | None = None
) -> Response:
    """What is due to the payee, and the cycle that would pay it; ``recorded`` is the decision that was just made."""
    found = await _found(parts, program, payee)
    return await _page(parts, visit, payee, found, Typed(), Said(recorded=recorded))


@router.post(_PATH)
async def pay_below_minimum(program: _Named, payee: _Named, visit: Bookkeeper, form: SentForm, parts: Its) -> Response:
    """The decision, in two steps."""
    found = await _found(parts, program, payee)

    async def shown(typed: Typed, said: Said) -> Response:
        return await _page(parts, visit, payee, found, typed, said)

    return await one_act.decide(parts, visit, form, _act(payee, found), found.subject, shown)


async def _found(parts: Parts, program: str, payee: str) -> Leaving:
    async with parts.database.reading() as connection:
        return await leaving.shown(connection, program, payee, datetime.now(UTC), parts.keys)


async def _page(parts: Parts, visit: Visit, payee: str, found: Leaving, typed: Typed, said: Said) -> Response:
    async with parts.database.reading() as connection:
        zone = await zone_of(connection, found.subject.program)
    return page(
        "leaving.html",
        visit,
        status=said.status,
        here="/cycles",
        zone=zone,
        payee=payee,
        shown=found,
        form=one_act.form_of(visit, _act(payee, found), found.subject, typed, said),
    )


def _act(payee: str, found: Leaving) -> OneAct:
    due, program = display(found.amount_minor, found.subject.currency), found.subject.program
    about = f"{due} to {payee}, in the cycle of {program} that is due on {found.due_on}"
    return OneAct(MoneyAct.PAY_BELOW_MINIMUM, _PATH, payee, about, program=program)
