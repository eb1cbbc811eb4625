"""The payee pages: payment methods, tax forms, and what waits, is owed or was paid. Read-only."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Final, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from referral_rewards.api.dependencies import Its, Reading
from referral_rewards.api.desk.listing import Chosen, Typed, show
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper
from referral_rewards.api.desk.words import day_in, words_in
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import TEXT, YEARS
from referral_rewards.api.v1.money.payees import file_of_statement
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.register.cycles import leaving
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.payees import ORDERS, PAYEES, Wanted
from referral_rewards.reporting.payees import statement
from referral_rewards.reporting.payees import year as sheet
from referral_rewards.reporting.payees.profile import LEGS_SHOWN_MAX, profile

router = APIRouter()

_HERE: Final = "/payees"
_Words = Annotated[str, Query(max_length=500, pattern=TEXT)]


@router.get("/payees")
async def list_payees(visit: Bookkeeper, parts: Its, choice: Chosen, q: Typed = "", held: bool = False) -> Response:
    """Payees for whom rewards were approved; one that is named leads to its page."""
    if name := words_in(q=q)["q"]:
        return RedirectResponse(f"/payees/{quote(name, safe='')}", 303)
    return await show(
        parts,
        visit,
        "payees.html",
        PAYEES,
        choice,
        {"held": "true" if held else ""},
        partial(Wanted, held=held),
        ORDERS,
        here=_HERE,
        year=datetime.now(UTC).year,
    )


@router.get("/reports/tax")
async def tax_report(visit: Bookkeeper, parts: Its, year: _Words) -> Response:
    """The year-end report as a file."""
    of, now = _year(year), datetime.now(UTC)
    return await sent(parts.database, lambda connection: sheet.report(connection, of, now), f"tax-{of}.csv")


@router.get("/payees/{payee:path}/statement")
async def show_statement(
    payee: str,
    visit: Bookkeeper,
    parts: Its,
    since: Annotated[Typed, Query(alias="from")] = "",
    until: Annotated[Typed, Query(alias="to")] = "",
    format: Literal["", "csv"] = "",  # noqa: A002 (as the API calls it)
) -> Response:
    """A payee's statement over some days, for the screen, for paper, or as a file."""
    asked = Asked(Days.between(day_in(since, "from"), day_in(until, "to")))
    if format == "csv":
        return await file_of_statement(parts, payee, asked)
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        shown = await statement.statement(connection, payee, asked, now)
    days = {"from": shown.since, "to": shown.until}
    query = urlencode({name: str(day) for name, day in days.items() if day is not None})
    return page("statement.html", visit, here=_HERE, shown=shown, query=query, spans=_spans(now.date()))


def _spans(today: date) -> list[tuple[str, str]]:
    """Periods to choose, by name, as the query that asks for each."""
    month = today.replace(day=1)
    spans = {
        "this month": (month, None),
        "last month": ((month - timedelta(days=1)).replace(day=1), month),
        "this year": (today.replace(month=1, day=1), None),
        "all time": (None, None),
    }
    return [
        (name, urlencode({key: str(day) for key, day in zip(("from", "to"), days, strict=True) if day}))
        for name, days in spans.items()
    ]


@router.get("/payees/{payee:path}")
async def show_payee(payee: str, visit: Bookkeeper, connection: Reading, parts: Its, year: _Words = "") -> Response:
    """One payee."""
    now = datetime.now(UTC)
    shown = await profile(connection, payee, now, _year(year) if year.strip() else None)
    programs = {each.program for each in shown.waiting if each.state == LegState.RESERVED}
    below = await leaving.below_minimum(connection, payee, programs, now, parts.keys)
    return page("payee.html", visit, here=_HERE, shown=shown, legs_max=LEGS_SHOWN_MAX, leaving=below)


def _year(typed: str) -> int:
    """The year in a form's field.

    Raises:
        RequestInvalid: if it is none.
    """
    if not (typed.isascii() and typed.isdigit() and YEARS["ge"] <= int(typed[:5]) <= YEARS["le"]):
        raise RequestInvalid(f"{typed!r} is no year from {YEARS['ge']} to {YEARS['le']}", "year")
    return int(typed)
