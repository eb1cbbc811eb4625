"""The accuracy of paid rewards in the report: what is kept of it equals recomputation, whenever it is read."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.audit import keeping
from referral_rewards.audit.accuracy import Accuracy, accuracy, examined
from referral_rewards.audit.evidence import Span
from tests.audit.settled import approve_and_pay, rows, settle
from tests.desk import Desk, days_ago, desk_after
from tests.snapshots import Snapshots

PATH = "/v1/reports/program/acme-friends"


async def _settled(desk: Desk) -> None:
    await settle(desk, "r1")
    await settle(desk, "r2")
    await desk.referral("waiting")


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    """A desk where two referrals were paid, two rewards each."""
    async with desk_after(snapshots, _settled) as opened:
        yield opened


async def _catch_up(desk: Desk) -> None:
    while await desk.database.write(keeping.catch_up, desk.parts.means):
        pass


async def _figure(desk: Desk, query: str = "") -> dict[str, Any]:
    answer = await desk.get(f"{PATH}{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["referral_reward_eligibility_accuracy"]
    return found


async def _recomputed(desk: Desk, span: Span) -> Accuracy:
    async with desk.database.reading() as connection:
        return accuracy([each async for each in examined(connection, span, desk.parts.means)])


async def _kept(desk: Desk, span: Span) -> Accuracy:
    async with desk.database.reading() as connection:
        found = await keeping.read(connection, span, desk.parts.means)
    assert found.behind == 0
    return found.accuracy


async def _same(desk: Desk) -> Accuracy:
    """The accuracy, once it is sure that what is kept says the same as recomputation, over days that cut it too."""
    today = days_ago(0).date()
    whole = Span("acme-friends")
    for span in (
        whole,
        Span("acme-friends", today - timedelta(days=2), today + timedelta(days=2)),
        Span("acme-friends", None, today - timedelta(days=2)),
    ):
        assert await _kept(desk, span) == await _recomputed(desk, span)
    return await _kept(desk, whole)


async def test_the_figure_has_the_form_of_the_contract_before_and_after_it_is_kept(desk: Desk) -> None:
    wanted = {"paid": 4, "accurate": 4, "share": 1.0, "by_decision": 0, "marks_removed": 0, "behind": 0, "failing": []}

    assert await _figure(desk) == wanted
    await _catch_up(desk)
    assert await _figure(desk) == wanted
    assert (await _figure(desk, "?to=2020-01-01"))["share"] is None
    assert (await _figure(desk, "?referrer=dexter"))["paid"] == 4
    assert (await _figure(desk, "?referrer=mia"))["paid"] == 0


async def test_what_is_kept_equals_recomputation(desk: Desk) -> None:
    assert (await _same(desk)).paid == 4
    await _catch_up(desk)
    assert (await _same(desk)).paid == 4
    await settle(desk, "r3")
    assert (await _same(desk)).paid == 6
    await _catch_up(desk)
    assert (await _same(desk)).paid == 6


async def test_a_reward_that_fails_is_listed_with_its_parts_and_why(desk: Desk) -> None:
    await rows(desk, "UPDATE leg SET amount_minor = 3500 WHERE role = 'referrer' AND referral_id = 'r1'")

    for _ in ("examined at once", "kept"):
        found = await _figure(desk)
        assert (found["paid"], found["accurate"], found["share"]) == (4, 3, 0.75)
        (failing,) = found["failing"]
        assert (failing["referral"], failing["role"], failing["parts"]) == ("r1", "referrer", ["payout_amount"])
        assert failing["why"] == ["its amount is 35.00 USD; right would be 25.00 USD"]
        await _catch_up(desk)
    assert await _same(desk) == await _recomputed(desk, Span("acme-friends"))


async def test_a_payment_that_came_back_is_no_paid_reward(desk: Desk) -> None:
    await _catch_up(desk)
    returned = "UPDATE payout SET state = 'returned' WHERE id = (SELECT id FROM payout ORDER BY id LIMIT 1)"
    async with desk.database.transaction() as connection:
        await connection.execute(text(returned))

    assert (await _same(desk)).paid == 3
    await _catch_up(desk)
    assert (await _same(desk)).paid == 3


async def test_what_an_adjustment_set_holds_and_is_counted_beside(desk: Desk) -> None:
    await desk.referral("r4")
    adjusted = await desk.decide("r4", "adjust", as_="oscar", leg="referrer", amount_minor=1000)
    assert adjusted.status_code == 201, adjusted.text
    await desk.judge("r4")
    await approve_and_pay(desk, "r4")

    found = await _figure(desk)
    assert (found["paid"], found["accurate"], found["by_decision"]) == (6, 6, 1)
    assert await _same(desk) == await _recomputed(desk, Span("acme-friends"))


async def test_the_page_says_which_rewards_fail_and_why(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        before = (await browser.get("/reports/program/acme-friends?every=true")).text
        await rows(desk, "UPDATE leg SET amount_minor = 3500 WHERE role = 'referrer' AND referral_id = 'r1'")
        after = (await browser.get("/reports/program/acme-friends?every=true")).text

    assert "<strong>100.0 %</strong>: 4 of 4 rewards" in before
    assert "<strong>75.0 %</strong>: 3 of 4 rewards" in after
    assert "Its amount is 35.00 USD; right would be 25.00 USD." in after
    assert '<a href="/referrals/r1">' in after


async def test_a_file_has_the_figure_too(desk: Desk) -> None:
    sheet = (await desk.get(f"{PATH}?format=csv")).text

    assert ",eligibility_accuracy,paid,,4" in sheet
    assert ",eligibility_accuracy,share,,1.0" in sheet
