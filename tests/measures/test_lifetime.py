"""Lifetime referral value: repeat orders count, once, for whom a reward was paid for, less what it cost."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.register.measures import keeping
from referral_rewards.reporting.measures.lifetime import Cohort, Value, charts
from tests.desk import Desk, days_ago, event, life_of
from tests.money import RECOVERED, stand

PATH = "/v1/reports/lifetime/acme-friends"


async def _told(desk: Desk, asked: str = "") -> dict[str, Any]:
    while await desk.database.write(keeping.catch_up, datetime.now(UTC)):
        pass
    told: dict[str, Any] = (await desk.get(f"{PATH}{asked}")).json()
    return told


async def _bought_again(desk: Desk, referral: str, order: str, amount: str, days: float, currency: str = "USD") -> None:
    who = {"customer": f"c-{referral}", "email": f"{referral}@example.com"}
    data = {"order": order, "kind": "upgrade", "customer": who, "amount": amount, "currency": currency}
    await desk.tell([event(order, "conversion.recorded", days_ago(days), data)])


async def _paid(desk: Desk, referral: str) -> None:
    await desk.referral(referral)
    await desk.decide(referral, "approve")
    assert await desk.judge(referral) == "approved"
    await stand(desk, referral)


def _month() -> str:
    return f"{days_ago(60):%Y-%m}-01"


async def test_repeat_orders_count_less_what_the_reward_cost(desk: Desk) -> None:
    await _paid(desk, "r1")
    await _bought_again(desk, "r1", "o-second", "50.00", 10)
    await _bought_again(desk, "r1", "o-third", "20.00", 9, "EUR")
    await _bought_again(desk, "r1", "o-before", "999.00", 41)
    await desk.tell(
        [event("b", "conversion.reversed", days_ago(8), {"order": "o-second", "kind": "refund", "amount": "15"})]
    )
    await desk.referral("r2")
    await _bought_again(desk, "r2", "o-unpaid", "70.00", 10)

    told = await _told(desk)

    dollars = {
        "currency": "USD",
        "customers": 1,
        "orders": 2,
        "revenue_minor": 8_000 + 3_500,
        "repeat_minor": 3_500,
        "cost_minor": 2_500,
        "value_minor": 9_000,
    }
    euros = {
        "currency": "EUR",
        "customers": 1,
        "orders": 1,
        "revenue_minor": 2_000,
        "repeat_minor": 2_000,
        "cost_minor": 0,
        "value_minor": 2_000,
    }
    assert [{k: v for k, v in each.items() if k not in ("referrer", "month")} for each in told["referrers"]] == [
        euros,
        dollars,
    ]
    assert {each["referrer"] for each in told["referrers"]} == {"dexter"}
    assert [(each["referrers"], each["values"]) for each in told["cohorts"]] == [(1, [euros, dollars])]
    assert told["behind"] == 0


async def test_what_was_taken_back_costs_nothing(desk: Desk) -> None:
    await _paid(desk, "r1")
    async with desk.database.transaction() as connection:
        await connection.execute(
            text(RECOVERED), {"kind": "reverse", "recovered": 700, "referral": "r1", "role": "referrer"}
        )
        await connection.execute(text("UPDATE clawback SET recovered_minor = 800, state = 'partly_reversed'"))

    assert [each["cost_minor"] for each in (await _told(desk))["referrers"]] == [1_700]


async def _referred(desk: Desk, name: str, referrer: str, at: datetime) -> None:
    """A referral that was sent at a moment; its referrer enrolled long before."""
    about = {"referrer": referrer, "program": "acme-friends", "customer": f"c-{referrer}", "partner": "blogs"}
    sent = life_of(name)[0]
    sent["data"]["referrer"], sent["time"] = referrer, at.isoformat()
    await desk.tell([event(f"e-{referrer}", "referrer.enrolled", days_ago(300), about), sent])
    await desk.judge(name)


async def test_a_cohort_is_of_the_month_of_the_first_referral_on_the_programs_calendar(desk: Desk) -> None:
    """Midnight of July is at four in UTC."""
    july = datetime(2026, 7, 1, 4, tzinfo=UTC)
    await _referred(desk, "r1", "mia", july)
    await _referred(desk, "r2", "mia", july + timedelta(days=90))
    await _referred(desk, "r3", "max", july - timedelta(microseconds=1))
    await _referred(desk, "r4", "moe", july + timedelta(days=1))

    cohorts = (await _told(desk))["cohorts"]

    assert [(each["month"], each["referrers"], each["values"]) for each in cohorts] == [
        ("2026-06-01", 1, []),
        ("2026-07-01", 2, []),
    ]


def test_the_chart_has_each_month_between_the_first_cohort_and_the_last() -> None:
    brought = Value(
        currency="USD", customers=1, orders=1, revenue_minor=8000, repeat_minor=0, cost_minor=3300, value_minor=4700
    )
    cohorts = [Cohort(month=date(2026, month, 1), referrers=1, values=(brought,)) for month in (2, 5)]

    (chart,) = charts(cohorts)

    assert [each.month for each in chart.steps] == [2, 3, 4, 5]
    assert chart.lines == {"revenue": [8000, 0, 0, 8000], "reward cost": [3300, 0, 0, 3300]}
    assert charts([]) == ()


async def test_it_is_of_a_partner_or_of_one_referrer_and_comes_in_pages(desk: Desk) -> None:
    await _paid(desk, "r1")
    await _referred(desk, "r2", "mia", days_ago(60))

    asked = {"": 2, "?partner=blogs": 1, "?referrer=mia": 1, "?partner=nobody": 0}
    found = {each: sum(cohort["referrers"] for cohort in (await _told(desk, each))["cohorts"]) for each in asked}

    assert found == asked
    first = (await desk.get(f"{PATH}?limit=1")).json()
    assert ([each["referrer"] for each in first["referrers"]], first["next"]) == (["dexter"], "dexter")
    assert (await desk.get(f"{PATH}?limit=1&after=dexter")).json()["referrers"] == []


async def test_as_of_a_past_moment_it_is_what_was_said_then(desk: Desk) -> None:
    await _paid(desk, "r1")
    await _bought_again(desk, "r1", "o-second", "50.00", 10)
    await _referred(desk, "r2", "mia", days_ago(60))
    said, moment = await _told(desk), datetime.now(UTC)

    await _referred(desk, "r3", "max", days_ago(60))
    back = {"order": "o-second", "kind": "refund", "amount": "15"}
    await desk.tell([event("b", "conversion.reversed", days_ago(8), back)])

    asked = f"?as_of={moment:%Y-%m-%dT%H:%M:%S.%fZ}"
    then, now = await _told(desk, asked), await _told(desk)
    apart = ("as_of", "behind")
    assert {k: v for k, v in then.items() if k not in apart} == {k: v for k, v in said.items() if k not in apart}
    assert then["as_of"].startswith(f"{moment:%Y-%m-%dT%H:%M:%S}")
    assert [each["revenue_minor"] for each in now["referrers"]] != [each["revenue_minor"] for each in then["referrers"]]
    async with desk.browser("paula") as browser:
        page = (await browser.get(f"/reports/program/acme-friends/lifetime{asked}")).text
        sheet = (await browser.get(f"/reports/program/acme-friends/lifetime/csv{asked}")).text
    assert "This is what was on record" in page
    assert [line.split(",")[6:8] for line in sheet.splitlines()[1:]] == [["2", "13000"]]


async def test_the_page_and_the_file_say_the_same(desk: Desk) -> None:
    await _paid(desk, "r1")
    await _told(desk)
    async with desk.browser("paula") as browser:
        page = (await browser.get("/reports/program/acme-friends/lifetime")).text
        sheet = (await browser.get("/reports/program/acme-friends/lifetime/csv")).text
        empty = (await browser.get("/reports/program/acme-friends/lifetime?referrer=nobody")).text
        unknown = await browser.get("/reports/program/nobody/lifetime")
    for said in ("55.00 USD", "<svg", "Referrers of the highest value", "referrer=dexter"):
        assert said in page, said
    lines = [line.split(",") for line in sheet.splitlines()]
    assert lines[0][2:] == [
        *("referrer", "month", "currency", "customers", "orders"),
        *("revenue_minor", "repeat_minor", "cost_minor", "value_minor"),
    ]
    assert lines[1][2:] == ["dexter", _month()[:7], "USD", "1", "1", "8000", "0", "2500", "5500"]
    assert "Nobody has referred anybody yet." in empty
    assert unknown.status_code == 404


@pytest.mark.parametrize(("path", "says"), [("acme-friend", "acme-friends"), ("acme-friends?from=2026-01-01", "from")])
async def test_what_can_not_be_asked_for_is_named(desk: Desk, path: str, says: str) -> None:
    refused = await desk.get(f"/v1/reports/lifetime/{path}")
    assert refused.status_code == 422
    assert says in refused.text
