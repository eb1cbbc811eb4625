"""A program's budget through the lives of referrals: by API, on the desk, and as the claims are judged by."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.register.measures import keeping
from tests.desk import PROGRAM, Desk, days_ago, life_of
from tests.money import stand

PATH = "/v1/reports/budget/acme-friends"


async def _told(desk: Desk, program: str = "acme-friends") -> dict[str, Any]:
    """The budget, once it is sure that it is the same before the sums are brought up to date and after, and that what
    it calls used is what claims are judged by."""
    before = (await desk.get(f"/v1/reports/budget/{program}")).json()
    while await desk.database.write(keeping.catch_up, datetime.now(UTC)):
        pass
    after = (await desk.get(f"/v1/reports/budget/{program}")).json()
    assert before["budget"] == after["budget"]
    async with desk.database.reading() as connection:
        held = await connection.execute(
            text("SELECT amount_minor FROM held_total WHERE program = :program AND referrer = ''"), {"program": program}
        )
        assert after["budget"]["spending"][0]["used_minor"] == (held.scalar_one_or_none() or 0)
    told: dict[str, Any] = after["budget"]
    return told


def _amounts(told: dict[str, Any]) -> tuple[int, ...]:
    own = told["spending"][0]
    return tuple(own[f"{name}_minor"] for name in ("used", "spent", "approved", "waiting", "expected"))


async def _in_return_period(desk: Desk, name: str) -> None:
    """A referral whose order is of today. Both sides' rewards are promised: at most 40.00, and 10 percent of 80.00."""
    facts = life_of(name)
    facts[2]["time"] = days_ago(1).isoformat()
    facts[1]["time"] = days_ago(2).isoformat()
    facts[0]["time"] = days_ago(3).isoformat()
    await desk.tell(facts)
    assert await desk.judge(name) == "in_return_period"


async def test_a_reward_goes_through_the_budget_from_its_return_period_to_its_payment(desk: Desk) -> None:
    assert _amounts(await _told(desk)) == (0, 0, 0, 0, 0)

    await _in_return_period(desk, "r0")
    await desk.referral("r1")
    waiting = await _told(desk)
    assert _amounts(waiting) == (0, 0, 0, 3_300, 4_800)
    assert (waiting["budget_minor"], waiting["left_minor"]) == (10_000_000, 10_000_000)
    assert (waiting["left_after_waiting_minor"], waiting["left_after_all_minor"]) == (9_996_700, 9_991_900)

    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    assert _amounts(await _told(desk)) == (3_300, 0, 3_300, 0, 4_800)

    await stand(desk, "r1")
    assert _amounts(await _told(desk)) == (3_300, 2_500, 800, 0, 4_800)

    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE leg SET state = 'cancelled' WHERE role = 'referee'"))
    cancelled = await _told(desk)
    assert _amounts(cancelled) == (2_500, 2_500, 0, 0, 4_800)
    assert cancelled["left_minor"] == 9_997_500


async def test_a_budget_that_will_not_do_is_said_everywhere(desk: Desk) -> None:
    terms = PROGRAM.replace('budget: "100000.00"', 'budget: "40.00"')
    version = re.sub(r"(?m)^effective_from: \S+", f"effective_from: {datetime.now(UTC).isoformat()}", terms)
    await desk.referral("r1")
    await desk.publish(version)
    await _in_return_period(desk, "r0")

    told = await _told(desk)
    report = (await desk.get("/v1/reports/program/acme-friends")).json()
    async with desk.browser("paula") as browser:
        page = (await browser.get("/reports/program/acme-friends/budget")).text
        home = (await browser.get("/reports/program/acme-friends")).text
        behind = (await browser.get("/reports/program/acme-friends/behind/rewards_expected")).text

    assert (told["left_after_waiting_minor"], told["left_after_all_minor"]) == (700, -4_100)
    assert "it would lack 41.00 USD" in told["warning"]
    assert report["budget"] == told
    for shown in (page, home):
        assert "it would lack 41.00 USD" in shown
    assert "not enough" in page
    assert "/referrals/r0" in behind


async def test_a_program_without_a_budget_says_so(desk: Desk) -> None:
    await desk.publish(
        PROGRAM.replace("program: acme-friends", "program: other").replace('  budget: "100000.00"\n', "")
    )

    told = await _told(desk, "other")
    async with desk.browser("paula") as browser:
        page = (await browser.get("/reports/program/other/budget")).text

    assert (told["budget_minor"], told["left_minor"], told["left_after_all_minor"], told["warning"]) == (None,) * 4
    assert "set no budget" in page


async def test_the_file_has_a_figure_a_line(desk: Desk) -> None:
    sent = await desk.get(f"{PATH}?format=csv")
    lines = [line.split(",") for line in sent.text.splitlines()]
    assert lines[0] == ["program", "as_of", "figure", "currency", "value"]
    assert ["budget_minor", "USD", "10000000"] in [line[2:] for line in lines]


@pytest.mark.parametrize(("program", "status"), [("nobody", 404), ("acme-friends?period=now", 422)])
async def test_a_budget_that_there_is_not(desk: Desk, program: str, status: int) -> None:
    assert (await desk.get(f"/v1/reports/budget/{program}")).status_code == status


async def test_a_report_of_a_program_without_terms_has_no_budget(desk: Desk) -> None:
    sent = life_of("r1")[0]
    sent["data"]["program"] = "not-yet"
    await desk.tell([sent])
    told = await desk.get("/v1/reports/program/not-yet")
    assert (told.status_code, told.json()["budget"]) == (200, None)
