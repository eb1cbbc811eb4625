"""The payout cycle pages: the lists that finance releases, with totals and payment progress."""

from datetime import UTC, datetime
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
from referral_rewards.api.desk.words import words_in
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.register.cycles.rows import paying_in_cycles
from referral_rewards.reporting import cycles, payouts
from referral_rewards.temporal import cycle_workflow_id

router = APIRouter()

_HERE: Final = "/cycles"
_ON_A_PAGE: Final = 50
_Words = Annotated[str, Query(max_length=200)]


@router.get("/cycles")
async def list_cycles(
    visit: Reader,
    connection: Reading,
    state: _Words = "",
    program: _Words = "",
    after: UUID | None = None,
    start: Start = 1,
) -> Response:
    """Cycles by program or state, the latest due first."""
    typed = words_in(state=state, program=program)
    wanted = cycles.Wanted(
        program=typed["program"] or None, state=typed["state"] or None, after=after, limit=_ON_A_PAGE + 1
    )
    rows = await cycles.listing(connection, wanted)
    found, more = rows[:_ON_A_PAGE], len(rows) > _ON_A_PAGE
    kept = {name: value for name, value in typed.items() if value}
    return page(
        "cycles.html",
        visit,
        here=_HERE,
        found=found,
        counted=await counted(start, len(found), more=more, total=lambda: cycles.count(connection, wanted)),
        typed=typed,
        later=after is not None,
        next=urlencode({**kept, "after": found[-1].cycle}) if more else None,
        states=list(CycleState),
        programs=await paying_in_cycles(connection),
    )


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
    return await _page(parts, visit, cycle, Typed(), Said(recorded=recorded), after, start)


@router.post("/cycles/{cycle}")
async def decide(cycle: UUID, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _page(parts, visit, cycle, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.CYCLE, cycle, shown)


async def _page(
    parts: Parts, visit: Visit, cycle: UUID, typed: Typed, said: Said, after: UUID | None = None, start: int = 1
) -> Response:
    async with parts.database.reading() as connection:
        found = await cycles.cycle(connection, cycle, parts.keys)
        asked = payouts.Wanted(cycle=cycle, after=after, limit=_ON_A_PAGE + 1)
        listed = await payouts.payouts(connection, asked)
        rows, more = listed[:_ON_A_PAGE], len(listed) > _ON_A_PAGE
        shown = await counted(start, len(rows), more=more, total=lambda: payouts.count(connection, asked))
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
