"""Liabilities at a date: totals by kind of account, tied to the ledger, then account by account."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.money.liabilities import file_of, wanted
from referral_rewards.register import programs
from referral_rewards.reporting.books import liabilities
from referral_rewards.reporting.books.journal import see_one_moment

router = APIRouter()

_ON_A_PAGE: Final = 100
Typed = Annotated[str, Query(max_length=400, pattern=TEXT)]


@router.get("/reports/liabilities")
async def show(visit: Bookkeeper, parts: Its, as_of: Typed = "", program: Typed = "", after: Typed = "") -> Response:
    """What was owed at the end of a day, a page of accounts at a time."""
    now = datetime.now(UTC)
    of = wanted(as_of.strip() or None, program.strip() or None, now)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        names = sorted(await programs.zones(connection))
        found = await liabilities.report(connection, of, now, after=after, limit=_ON_A_PAGE)
    return page(
        "liabilities.html",
        visit,
        here="/ledger",
        typed={"as_of": as_of.strip(), "program": program.strip()},
        programs=names,
        found=found,
        later=bool(after),
    )


@router.get("/reports/liabilities/csv")
async def as_csv(visit: Bookkeeper, parts: Its, as_of: Typed = "", program: Typed = "") -> Response:
    """All of it as a file."""
    now = datetime.now(UTC)
    return await file_of(parts.database, wanted(as_of.strip() or None, program.strip() or None, now), now)
