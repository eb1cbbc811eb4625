"""The payout cycle pages: the lists that finance releases, with totals and payment progress."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Its, Parts, Reading
from referral_rewards.api.desk.listing import Chosen, Typed, of_uuids, show
from referral_rewards.api.desk.money import acts
from referral_rewards.api.desk.money.acts import Said
from referral_rewards.api.desk.money.acts import Typed as Filled
from referral_rewards.api.desk.money.payouts import run_of
from referral_rewards.api.desk.pages import Counted, Start, page, zone_of
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import words_in
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.register.cycles.rows import paying_in_cycles
from referral_rewards.reporting import cycles
from referral_rewards.reporting.lists import payouts
from referral_rewards.reporting.lists.cycles import CYCLES, LISTING, Wanted
from referral_rewards.temporal import cycle_workflow_id

router = APIRouter()

_HERE: Final = "/cycles"
_ON_A_PAGE: Final = 50
_Words = Annotated[str, Query(max_length=200)]


@router.get("/cycles")
async def list_cycles(visit: Reader, parts: Its, choice: Chosen, state: Typed = "", program: Typed = "") -> Response:
    """Cycles by program, state or due date, a page at a time."""
    typed = words_in(state=state, program=program)
    wanted = partial(
        Wanted,
        program=typed["program"] or None,
        state=CycleState(typed["state"]) if typed["state"] in set(CycleState) else None,
    )
    return await show(
        parts,
        visit,
        "cycles.html",
        CYCLES,
        of_uuids(choice),
        typed,
        wanted,
        LISTING.orders,
        beside=_programs,
        here=_HERE,
        states=list(CycleState),
    )


async def _programs(connection: AsyncConnection) -> dict[str, Any]:
    return {"programs": await paying_in_cycles(connection)}


@router.get("/cycles/next/{program:path}")
async def show_next(program: str, visit: Reader, connection: Reading, after: _Words = "") -> Response:
    """What the program's next cycle would pay by what is due now, a page of payees at a time."""
    now = datetime.now(UTC)
    found = await cycles.preview(connection, program, now, after=after or None, limit=_ON_A_PAGE)
    return page(
        "cycle_next.html",
        visit,
        here=_HERE,
        zone=await zone_of(connection, program),
        found=found,
        totals=await cycles.preview_totals(connection, program, now) if not after else None,
        next=urlencode({"after": found.next}) if found.next else None,
    )


@router.get("/cycles/{cycle}")
async def show_cycle(
    cycle: UUID,
    visit: Reader,
    parts: Its,
    after: UUID | None = None,
    start: Start = 1,
    recorded: int | None = None,
) -> Response:
    """One cycle with a page of its list; ``recorded`` is the number of the decision that was just made."""
    return await _page(parts, visit, cycle, Filled(), Said(recorded=recorded), after, start)


@router.post("/cycles/{cycle}")
async def decide(cycle: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Filled, said: Said) -> Response:
        return await _page(parts, visit, cycle, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.CYCLE, cycle, shown)


async def _page(
    parts: Parts, visit: Visit, cycle: UUID, typed: Filled, said: Said, after: UUID | None = None, start: int = 1
) -> Response:
    async with parts.database.reading() as connection:
        found = await cycles.cycle(connection, cycle, parts.keys)
        asked = payouts.Wanted(cycle=cycle, after=str(after) if after else None, limit=_ON_A_PAGE + 1)
        listed = await payouts.page(connection, asked)
        rows, more = listed[:_ON_A_PAGE], len(listed) > _ON_A_PAGE
        shown = Counted(start, len(rows), (await payouts.totals(connection, asked)).count)
        zone = await zone_of(connection, found.program)
    return page(
        "cycle.html",
        visit,
        status=said.status,
        here=_HERE,
        zone=zone,
        shown=found,
        listed=rows,
        counted=shown,
        after=after,
        next=rows[-1].payout if more else None,
        run=run_of(parts, cycle_workflow_id(found.program, found.due_on)),
        form=await acts.form_of(parts, visit, SubjectKind.CYCLE, cycle, typed, said),
    )
