"""What referrers bring over time: by the month of their first referral, and those who bring most."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.measures.drawing import drawn, named
from referral_rewards.api.desk.pages import page, zone_of
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.measures.definitions import DEFINITIONS
from referral_rewards.domain.measures.measures import Days
from referral_rewards.register.measures.sums import Step
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import lifetime
from referral_rewards.reporting.measures.program import Wanted
from referral_rewards.reporting.measures.program import moment as moment_of

router = APIRouter()

Typed = Annotated[str, Query(max_length=200, pattern=TEXT)]


@router.get("/reports/program/{program}/lifetime")
async def show(
    visit: Reader, parts: Its, program: str, partner: Typed = "", referrer: Typed = "", as_of: Typed = ""
) -> Response:
    """The value by cohort, a chart of it, and the referrers of the highest value."""
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        zone = await zone_of(connection, program)
        if zone is None:
            raise NotFound("program", program)
        moment = await moment_of(connection, program, as_of.strip() or None, now)
        wanted = Wanted(program, Days(), partner.strip() or None, referrer.strip() or None, moment)
        known = await lifetime.source(connection, wanted)
        found = await lifetime.report(connection, wanted, now, known, after="", limit=1)
        most = await lifetime.most(known)
    return page(
        "lifetime.html",
        visit,
        zone=zone,
        here="/reports",
        program=program,
        wanted=wanted,
        found=found,
        most=most,
        as_of_day=as_of.strip(),
        most_number=lifetime.MOST,
        defined=DEFINITIONS["lifetime_value"],
        charts=[(each, drawn(each, Step.MONTH)) for each in lifetime.charts(found.cohorts)],
        month=lambda first: named(first, Step.MONTH),
        query=urlencode({"partner": partner.strip(), "referrer": referrer.strip(), "as_of": as_of.strip()}),
    )


@router.get("/reports/program/{program}/lifetime/csv")
async def as_csv(
    visit: Reader, parts: Its, program: str, partner: Typed = "", referrer: Typed = "", as_of: Typed = ""
) -> Response:
    """Every referrer as a file."""
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        moment = await moment_of(connection, program, as_of.strip() or None, now)
    wanted = Wanted(program, Days(), partner.strip() or None, referrer.strip() or None, moment)
    return await sent(
        parts.database, lambda connection: lifetime.as_csv(connection, wanted, now), f"lifetime-{program}.csv"
    )
