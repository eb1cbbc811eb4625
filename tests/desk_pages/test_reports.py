"""A program's report on the desk: figures beside the period before, charts, and the referrals behind each figure."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from referral_rewards.domain.measures.measures import Days
from referral_rewards.register.measures import keeping
from referral_rewards.reporting.measures import charts
from referral_rewards.reporting.measures.program import Wanted
from tests.desk import Desk, days_ago, event, life_of

PATH = "/reports/program/acme-friends"


async def test_the_report_is_the_program_managers_page(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        moved = await browser.get("/reports")
        shown = await browser.get(f"{PATH}?every=true")

    assert (moved.status_code, moved.headers["location"]) == (303, PATH)
    assert shown.status_code == 200
    for said in ("Claims created", "Reward claims that were first assembled in the period", "80.00 USD", "The numbers"):
        assert said in shown.text, said


async def test_a_figure_stands_beside_the_period_before(desk: Desk) -> None:
    """The order of r1 lies in the three days before these."""
    await desk.referral("r1")
    day = days_ago(38).date()
    async with desk.browser("paula") as browser:
        shown = await browser.get(f"{PATH}?from={day}&to={day + timedelta(days=3)}")
        before = await browser.get(f"{PATH}?from={day - timedelta(days=3)}&to={day}")

    assert "The period before" in shown.text
    assert "80.00 USD" not in shown.text
    assert before.text.count("80.00 USD") >= 2


async def test_a_chart_has_a_name_and_neither_style_nor_script(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        shown = await browser.get(f"{PATH}?every=true")

    charts = [f"<svg{part.split('</svg>')[0]}</svg>" for part in shown.text.split("<svg")[1:]]
    assert len(charts) == 2
    for chart in charts:
        tree = ElementTree.fromstring(chart)
        tags = {each.tag.rpartition("}")[2] for each in tree.iter()}
        assert tree.get("aria-label")
        assert not tags & {"style", "script"}


async def test_a_chart_ends_with_what_happened_not_with_what_is_expected(desk: Desk) -> None:
    """The reward of r1 is due, and expected, two weeks after its order."""
    life = zip(life_of("r1"), (20, 10, 2), strict=True)
    await desk.tell([event(each["id"], each["type"], days_ago(days), each["data"]) for each, days in life])
    assert await desk.judge("r1") == "in_return_period"
    await desk.database.write(keeping.catch_up, datetime.now(UTC))
    today = datetime.now(UTC).date()
    wanted = Wanted("acme-friends", Days(today - timedelta(days=30), today + timedelta(days=30)))
    async with desk.database.reading() as connection:
        drawn = (await charts.charts(connection, wanted, datetime.now(UTC))).charts
    assert drawn
    assert max(step for each in drawn for step in each.steps) <= today


async def test_a_figure_leads_to_its_referrals(desk: Desk) -> None:
    await desk.referral("r1")
    refund = {"order": "o-r1", "kind": "refund", "amount": "30.00"}
    await desk.tell([event("back", "conversion.reversed", days_ago(20), refund)])
    await desk.judge("r1")
    await desk.database.write(keeping.catch_up, datetime.now(UTC))
    async with desk.browser("paula") as browser:
        revenue = await browser.get(f"{PATH}/behind/converted")
        flag = await browser.get(f"{PATH}/behind/flagged?part=partial_refund")
        nothing = await browser.get(f"{PATH}/behind/settled")

    assert "/referrals/r1" in revenue.text
    assert "50.00 USD" in revenue.text
    assert "/referrals/r1" in flag.text
    assert "No referral adds to this figure" in nothing.text


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{PATH}?from=2026-07-02&to=2026-07-01", 422), ("/reports/program/nobody", 404), (f"{PATH}/behind/luck", 422)],
)
async def test_a_report_that_there_is_not(desk: Desk, path: str, status: int) -> None:
    async with desk.browser("paula") as browser:
        assert (await browser.get(path)).status_code == status


async def test_an_empty_report_says_so(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        assert "Nothing happened in this period" in (await browser.get(PATH)).text
        sheet = await browser.get(f"{PATH}/csv")
    assert sheet.text.startswith("program,from,to,as_of,figure,part,currency,value")
