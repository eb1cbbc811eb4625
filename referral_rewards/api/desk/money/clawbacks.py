"""The clawback pages: the list of cases, and one case with its history and the decision form."""

from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.listing import Chosen, Typed, of_uuids, show
from referral_rewards.api.desk.money import acts
from referral_rewards.api.desk.money.acts import Said
from referral_rewards.api.desk.money.acts import Typed as Filled
from referral_rewards.api.desk.money.payouts import run_of
from referral_rewards.api.desk.pages import page, zone_of
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import words_in
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.money import from_minor
from referral_rewards.domain.payouts.rail_catalogue import in_steps
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.clawbacks import CaseShown
from referral_rewards.reporting.lists.clawbacks import CASES, LISTING, Wanted
from referral_rewards.temporal import clawback_workflow_id

router = APIRouter()

_HERE: Final = "/clawbacks"


@router.get("/clawbacks")
async def list_cases(
    visit: Reader,
    parts: Its,
    choice: Chosen,
    state: Typed = "",
    payee: Typed = "",
    program: Typed = "",
    referral: Typed = "",
) -> Response:
    """Cases by state, payee, program, referral or day, a page at a time."""
    typed = words_in(state=state, payee=payee, program=program, referral=referral)
    wanted = partial(
        Wanted,
        state=CaseState(typed["state"]) if typed["state"] in set(CaseState) else None,
        payee=typed["payee"] or None,
        program=typed["program"] or None,
        referral=typed["referral"] or None,
    )
    return await show(
        parts,
        visit,
        "clawbacks.html",
        CASES,
        of_uuids(choice),
        typed,
        wanted,
        LISTING.orders,
        here=_HERE,
        states=list(CaseState),
    )


@router.get("/clawbacks/rewards/{reward}")
async def show_reward(reward: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """A paid reward, of which finance can open a case by hand; ``recorded`` is the number of the decision just made."""
    return await _reward_page(parts, visit, reward, None, Said(recorded=recorded))


@router.post("/clawbacks/rewards/{reward}")
async def open_case(reward: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """The decision to open one, in two steps."""

    async def shown(typed: Filled, said: Said) -> Response:
        return await _reward_page(parts, visit, reward, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.REWARD, reward, shown)


@router.get("/clawbacks/{case}")
async def show_case(case: UUID, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """One case; ``recorded`` is the number of the decision that was just made."""
    return await _page(parts, visit, case, None, Said(recorded=recorded))


@router.post("/clawbacks/{case}")
async def decide(case: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Filled, said: Said) -> Response:
        return await _page(parts, visit, case, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.CLAWBACK_CASE, case, shown)


async def _reward_page(parts: Parts, visit: Visit, reward: UUID, typed: Filled | None, said: Said) -> Response:
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
        form=await acts.form_of(parts, visit, SubjectKind.REWARD, reward, typed or Filled(amount=room), said),
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


async def _page(parts: Parts, visit: Visit, case: UUID, typed: Filled | None, said: Said) -> Response:
    async with parts.database.reading() as connection:
        found = await reporting.case(connection, case, parts.keys)
        owed = await reporting.owed(connection, found.payee)
        zone = await zone_of(connection, found.program)
    if typed is None:
        asked_minor = _suggested(found)
        typed = Filled(amount="" if asked_minor is None else f"{from_minor(asked_minor, found.currency):f}")
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
