"""Audits of what a program paid: what to audit, and the signed report as a page and as a file."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from sqlalchemy import text

from referral_rewards.api import auditing
from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper
from referral_rewards.api.desk.words import day_in
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.audit.words import WORDS
from referral_rewards.domain.errors import NotFound
from referral_rewards.register import programs

router = APIRouter()

Typed = Annotated[str, Query(max_length=200, pattern=TEXT)]


@router.get("/reports/audit/{program}")
async def audits(program: str, visit: Bookkeeper, parts: Its) -> Response:
    """What is checked, and a form that says which payments to audit."""
    async with parts.database.reading() as connection:
        names = await programs.zones(connection)
        if program not in names:
            raise NotFound("program", program, names)
        due = (await connection.execute(_CYCLES, {"program": program})).scalars().all()
    return page("audits.html", visit, here="/reports", program=program, cycles=due, words=WORDS.values())


@router.get("/reports/audit/{program}/report")
async def report(
    program: str,
    visit: Bookkeeper,
    parts: Its,
    since: Annotated[Typed, Query(alias="from")] = "",
    until: Annotated[Typed, Query(alias="to")] = "",
    cycle: Typed = "",
    format_: Annotated[Literal["html", "json"], Query(alias="format")] = "html",
) -> Response:
    """The signed report as a file: for people, or for whoever checks the signature."""
    days: list[date | None] = [day_in(each, name) for each, name in ((cycle, "cycle"), (since, "from"), (until, "to"))]
    asked = auditing.Asked(program, *days)
    written = auditing.as_json if format_ == "json" else auditing.as_page
    return await written(parts, asked, visit.user.name)


_CYCLES = text("SELECT due_on FROM payout_cycle WHERE program = :program ORDER BY due_on DESC LIMIT 24")
