"""A month of a program on one page: figures beside the month before, exceptions, who brought most, definitions."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.measures.definitions import DEFINITIONS
from referral_rewards.register.measures import keeping
from referral_rewards.reporting.measures.month import Month, behind
from tests import money
from tests.desk import Desk, account, days_ago, event

PATH = "/reports/month/acme-friends"


def month_of(moment: datetime) -> Month:
    """The month on the program's calendar."""
    return Month.of(moment.astimezone(ZoneInfo("America/Toronto")).date())


async def test_the_last_month_that_is_over_is_shown_first(desk: Desk) -> None:
    async with desk.browser("oscar") as browser:
        moved = await browser.get(PATH)
        shown = await browser.get(moved.headers["location"])
    assert moved.status_code == 303
    assert shown.status_code == 200
    assert "the month is not over" not in shown.text
    assert "Nothing happened in" in shown.text
    for each in DEFINITIONS.values():
        assert each.says in shown.text


async def test_a_month_says_what_happened_beside_the_month_before(desk: Desk) -> None:
    await desk.referral("r1")
    bought, assembled = month_of(days_ago(40)), month_of(datetime.now(UTC))
    async with desk.browser("paula") as browser:
        shown = (await browser.get(f"{PATH}/{bought}")).text
        now = (await browser.get(f"{PATH}/{assembled}")).text
        after = (await browser.get(f"{PATH}/{assembled.after}")).text
    assert "80.00 USD" in shown
    created = "claims created<small>{}: {}</small>"
    assert f"<b>1</b>{created.format(assembled.before.in_words, 0)}" in now
    assert f"<b>0</b>{created.format(assembled.in_words, 1)}" in after


async def test_exceptions_and_who_brought_most_stand_on_the_page(desk: Desk) -> None:
    await desk.tell([account("dexter")])
    partner = {"referrer": "dexter", "program": "acme-friends", "partner": "silver"}
    await desk.tell([event("partner", "referrer.enrolled", days_ago(299), partner)])
    await desk.referral("own", email="dexter@example.com")
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    await money.stand(desk, "r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE referral SET status = 'rewarded', rewarded_at = now() WHERE id = 'r1'"))
    await desk.database.write(keeping.catch_up, datetime.now(UTC))
    month = month_of(datetime.now(UTC))
    async with desk.database.reading() as connection:
        found = await behind(connection, "acme-friends", month)
        empty = await behind(connection, "acme-friends", month.before.before.before.before)
    [flag] = found.exceptions
    assert (flag.flag, flag.claims, dict(flag.now)) == ("self_referral", 1, {"awaiting_approval": 1})
    [referrer] = found.referrers
    assert (referrer.name, referrer.rewarded) == ("dexter", 1)
    assert (dict(referrer.revenue), dict(referrer.cost)) == ({"USD": 8000}, {"USD": 2500})
    [its] = found.partners
    assert (its.name, its.rewarded, its.cost) == ("silver", 1, referrer.cost)
    assert (empty.exceptions, empty.referrers, empty.partners) == ([], [], [])
    async with desk.browser("paula") as browser:
        shown = (await browser.get(f"{PATH}/{month}")).text
    for said in ("Self-referral", "awaiting approval: 1", "dexter", "silver", "the month is not over"):
        assert said in shown, said


@pytest.mark.parametrize(("path", "status"), [("/none", 404), ("/acme-friends/July", 422), ("/none/2026-07", 404)])
async def test_a_month_or_program_that_is_none_is_told(desk: Desk, path: str, status: int) -> None:
    async with desk.browser("paula") as browser:
        answer = await browser.get(f"/reports/month{path}")
    assert (answer.status_code, "<h1>" in answer.text) == (status, True)


@pytest.mark.parametrize(
    "written", ["2026-7", "2026-13", "2026-00", "26-07", "2026/07", "1969-12", "3000-01", "٢٠٢٦-١"]
)
def test_what_is_no_month(written: str) -> None:
    with pytest.raises(RequestInvalid):
        Month.parse(written)


def test_months_follow_each_other() -> None:
    month = Month.parse("2026-01")
    assert (str(month.before), str(month), str(month.after)) == ("2025-12", "2026-01", "2026-02")
    assert month.in_words == "January 2026"
    for _ in range(30):
        assert month.days.end == month.after.days.start
        assert month.after.before == month
        assert (month.days.end or date.max) - timedelta(days=28) >= (month.days.start or date.min)
        month = month.after
