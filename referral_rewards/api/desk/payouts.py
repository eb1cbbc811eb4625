"""The payout pages: the list of payouts, and one payout with its history and the decision form."""

from typing import Annotated, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response

from referral_rewards.api.dependencies import Its, Parts, Reading
from referral_rewards.api.desk import acts
from referral_rewards.api.desk.acts import Said, Typed
from referral_rewards.api.desk.pages import Start, counted, page, zone_of
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import id_in, words_in
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.payouts.provider_events import page_of
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting import payouts as reporting
from referral_rewards.reporting.payouts import Wanted
from referral_rewards.reporting.rails import halted, mode_of
from referral_rewards.temporal import payout_workflow_id

router = APIRouter()

_HERE: Final = "/payouts"
_ON_A_PAGE: Final = 50
_Words = Annotated[str, Query(max_length=200)]


@router.get("/payouts")
async def list_payouts(
    visit: Reader,
    connection: Reading,
    state: _Words = "",
    rail: _Words = "",
    payee: _Words = "",
    program: _Words = "",
    referral: _Words = "",
    after: _Words = "",
    start: Start = 1,
) -> Response:
    """Payouts by state, rail, payee, program or referral, a page at a time."""
    given = words_in(state=state, rail=rail, payee=payee, program=program, referral=referral)
    wanted = Wanted(
        state=PayoutState(given["state"]) if given["state"] in set(PayoutState) else None,
        rail=given["rail"] or None,
        program=given["program"] or None,
        payee=given["payee"] or None,
        referral=given["referral"] or None,
        after=id_in(after),
        limit=_ON_A_PAGE + 1,
    )
    rows = await reporting.payouts(connection, wanted)
    kept = {name: value for name, value in given.items() if value}
    found = rows[:_ON_A_PAGE]
    more = len(rows) > _ON_A_PAGE
    return page(
        "payouts.html",
        visit,
        here=_HERE,
        found=found,
        counted=await counted(start, len(found), more=more, total=lambda: reporting.count(connection, wanted)),
        typed=given,
        later=bool(after),
        halts=await halted(connection),
        next=urlencode({**kept, "after": found[-1].payout}) if more else None,
        states=list(PayoutState),
        rails=list(CATALOGUE),
    )


@router.get("/payouts/{payout}")
async def show_payout(payout: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """One payout; ``recorded`` is the number of the decision that was just made."""
    return await _page(parts, visit, payout, Typed(), Said(recorded=recorded))


@router.post("/payouts/{payout}")
async def decide(payout: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _page(parts, visit, payout, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.PAYOUT, payout, shown)


async def _page(parts: Parts, visit: Visit, payout: UUID, typed: Typed, said: Said) -> Response:
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
