"""The payout pages: the list of payouts, and one payout with its history and the decision form."""

from functools import partial
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.listing import Chosen, Typed, of_uuids, show
from referral_rewards.api.desk.money import acts
from referral_rewards.api.desk.money.acts import Said
from referral_rewards.api.desk.money.acts import Typed as Filled
from referral_rewards.api.desk.pages import page, zone_of
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import words_in
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.payouts.provider_events import page_of
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting import payouts as reporting
from referral_rewards.reporting.lists.payouts import LISTING, PAYOUTS, Wanted
from referral_rewards.reporting.rails import halted, mode_of
from referral_rewards.temporal import payout_workflow_id

router = APIRouter()

_HERE: Final = "/payouts"


@router.get("/payouts")
async def list_payouts(
    visit: Reader,
    parts: Its,
    choice: Chosen,
    state: Typed = "",
    rail: Typed = "",
    payee: Typed = "",
    program: Typed = "",
    referral: Typed = "",
) -> Response:
    """Payouts by state, rail, payee, program, referral or day, a page at a time."""
    typed = words_in(state=state, rail=rail, payee=payee, program=program, referral=referral)
    wanted = partial(
        Wanted,
        state=PayoutState(typed["state"]) if typed["state"] in set(PayoutState) else None,
        rail=typed["rail"] or None,
        program=typed["program"] or None,
        payee=typed["payee"] or None,
        referral=typed["referral"] or None,
    )
    return await show(
        parts,
        visit,
        "payouts.html",
        PAYOUTS,
        of_uuids(choice),
        typed,
        wanted,
        LISTING.orders,
        beside=_halts,
        here=_HERE,
        states=list(PayoutState),
        rails=list(CATALOGUE),
    )


async def _halts(connection: AsyncConnection) -> dict[str, Any]:
    return {"halts": await halted(connection)}


@router.get("/payouts/{payout}")
async def show_payout(payout: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """One payout; ``recorded`` is the number of the decision that was just made."""
    return await _page(parts, visit, payout, Filled(), Said(recorded=recorded))


@router.post("/payouts/{payout}")
async def decide(payout: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Filled, said: Said) -> Response:
        return await _page(parts, visit, payout, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.PAYOUT, payout, shown)


async def _page(parts: Parts, visit: Visit, payout: UUID, typed: Filled, said: Said) -> Response:
    async with parts.database.reading() as connection:
        found = await reporting.payout(connection, payout, parts.keys)
        mode = await mode_of(connection, found.rail)
        zone = await zone_of(connection, found.program)
    return page(
        "payout.html",
        visit,
        status=said.status,
        here=_HERE,
        zone=zone,
        shown=found,
        provider=page_of(found.rail, mode, found.reference, found.destination),
        run=run_of(parts, payout_workflow_id(str(payout))),
        form=await acts.form_of(parts, visit, SubjectKind.PAYOUT, payout, typed, said),
    )


def run_of(parts: Parts, workflow: str) -> str | None:
    """Return the address of a workflow in the Temporal Web UI."""
    return f"{parts.web_ui}/workflows/{quote(workflow, safe='')}" if parts.web_ui else None
