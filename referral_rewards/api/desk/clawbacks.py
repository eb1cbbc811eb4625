"""The clawback pages: the list of cases, and one case with its history and the decision form."""

from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response

from referral_rewards.api.dependencies import Its, Parts, Reading
from referral_rewards.api.desk import acts
from referral_rewards.api.desk.acts import Said, Typed
from referral_rewards.api.desk.pages import Start, counted, page, zone_of
from referral_rewards.api.desk.payouts import run_of
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import id_in, words_in
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.money import from_minor
from referral_rewards.domain.payouts.rail_catalogue import in_steps
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.clawbacks import CaseShown, Wanted
from referral_rewards.temporal import clawback_workflow_id

router = APIRouter()

_HERE: Final = "/clawbacks"
_ON_A_PAGE: Final = 50
_Words = Annotated[str, Query(max_length=200)]


@router.get("/clawbacks")
async def list_cases(
    visit: Reader,
    connection: Reading,
    state: _Words = "",
    payee: _Words = "",
    program: _Words = "",
    referral: _Words = "",
    after: _Words = "",
    start: Start = 1,
) -> Response:
    """Cases by state, payee, program or referral, a page at a time."""
    given = words_in(state=state, payee=payee, program=program, referral=referral)
    wanted = Wanted(
        state=CaseState(given["state"]) if given["state"] in set(CaseState) else None,
        payee=given["payee"] or None,
        program=given["program"] or None,
        referral=given["referral"] or None,
        after=id_in(after),
        limit=_ON_A_PAGE + 1,
    )
    rows = await reporting.cases(connection, wanted)
    kept = {name: value for name, value in given.items() if value}
    found = rows[:_ON_A_PAGE]
    more = len(rows) > _ON_A_PAGE
    return page(
        "clawbacks.html",
        visit,
        here=_HERE,
        found=found,
        counted=await counted(start, len(found), more=more, total=lambda: reporting.count(connection, wanted)),
        typed=given,
        later=bool(after),
        next=urlencode({**kept, "after": found[-1].case}) if more else None,
        states=list(CaseState),
    )


@router.get("/clawbacks/rewards/{reward}")
async def show_reward(reward: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """A paid reward, of which finance can open a case by hand; ``recorded`` is the number of the decision just made."""
    return await _reward_page(parts, visit, reward, None, Said(recorded=recorded))


@router.post("/clawbacks/rewards/{reward}")
async def open_case(reward: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """The decision to open one, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _reward_page(parts, visit, reward, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.REWARD, reward, shown)


@router.get("/clawbacks/{case}")
async def show_case(case: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """One case; ``recorded`` is the number of the decision that was just made."""
    return await _page(parts, visit, case, None, Said(recorded=recorded))


@router.post("/clawbacks/{case}")
async def decide(case: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _page(parts, visit, case, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.CLAWBACK_CASE, case, shown)


async def _reward_page(parts: Parts, visit: Visit, reward: UUID, typed: Typed | None, said: Said) -> Response:
    async with parts.database.reading() as connection:
        found = await reporting.reward(connection, reward, parts.keys)
        zone = await zone_of(connection, found.program)
    room = f"{from_minor(found.room_minor, found.currency):f}" if found.room_minor > 0 else ""
    return page(
        "reward.html",
        visit,
        status=said.status,
        here=_HERE,
        zone=zone,
        shown=found,
        form=await acts.form_of(parts, visit, SubjectKind.REWARD, reward, typed or Typed(amount=room), said),
    )


def _suggested(found: CaseShown) -> int | None:
    """Return what the amount on the form is at first: of an open case the proposal as far as it can be taken; of
    another the most that an act may be over. None: its acts are over different amounts, so a person says which."""
    if found.state is CaseState.OPEN and found.room_minor > 0:
        left_minor = min(found.proposed_minor or found.room_minor, found.room_minor)
        # What is less than its rail can write can still be kept or given up.
        return in_steps(found.rail, left_minor, found.currency) or left_minor
    amounts = set(found.amounts.values())
    return amounts.pop() if len(amounts) == 1 else None


async def _page(parts: Parts, visit: Visit, case: UUID, typed: Typed | None, said: Said) -> Response:
    async with parts.database.reading() as connection:
        found = await reporting.case(connection, case, parts.keys)
        owed = await reporting.owed(connection, found.payee)
        zone = await zone_of(connection, found.program)
    if typed is None:
        asked_minor = _suggested(found)
        typed = Typed(amount="" if asked_minor is None else f"{from_minor(asked_minor, found.currency):f}")
    return page(
        "clawback.html",
        visit,
        status=said.status,
        here=_HERE,
        zone=zone,
        shown=found,
        owed=owed,
        runs={each.clawback: run_of(parts, clawback_workflow_id(str(each.clawback))) for each in found.clawbacks},
        form=await acts.form_of(parts, visit, SubjectKind.CLAWBACK_CASE, case, typed, said),
    )
