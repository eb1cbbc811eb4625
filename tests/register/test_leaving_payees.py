"""A payee who leaves is paid below the minimum once, by a signed decision, through a cycle like any other."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk
from tests.register.cycling import Cycling, in_cycles


@pytest.fixture
async def cycling(desk: Desk) -> AsyncIterator[Cycling]:
    """A program with a minimum of 30.00 that owes 25.00 to dexter and 8.00 to his friend."""
    await desk.publish(in_cycles(minimum="30.00", **{"effective_from: 2025-01-01": "effective_from: 2025-01-02"}))
    its = Cycling(desk)
    await its.approved("r1")
    return its


async def order(desk: Desk, payee: str = "dexter", as_: str = "fiona", **given: Any) -> httpx.Response:
    shown = (await desk.get(f"/v1/cycles/below-minimum?program=acme-friends&payee={payee}", as_)).json()
    asked = {"program": "acme-friends", "payee": payee, "reason": "payee_leaves", "note": "Closed her account."}
    asked |= {"digest": shown.get("digest", ""), **given}
    return await desk.api.post("/v1/cycles/below-minimum", json=asked, headers=desk.bearer(as_))


async def test_without_a_decision_a_payee_below_the_minimum_waits(cycling: Cycling) -> None:
    cycle = await cycling.open()
    assert await cycling.settle(cycle) == "done"
    assert await cycling.amounts(cycle) == {}


async def test_a_leaving_payee_is_paid_below_the_minimum_once(cycling: Cycling) -> None:
    desk = cycling.desk
    shown = (await desk.get("/v1/cycles/below-minimum?program=acme-friends&payee=dexter")).json()
    assert (shown["amount_minor"], shown["minimum_minor"], shown["takes"]) == (2500, 3000, ["pay_below_minimum"])
    made = await order(desk)
    assert made.status_code == 201, made.text
    cycle = made.json()["cycle"]
    assert await cycling.settle(cycle) == "frozen"
    assert await cycling.amounts(cycle) == {"dexter": 2500}
    (below,) = (await desk.get(f"/v1/cycles/{cycle}")).json()["below_minimum"]
    assert (below["payee"], below["user"], below["reason"]) == ("dexter", "fiona", "payee_leaves")
    async with desk.browser("fiona") as browser:
        assert "dexter, by fiona (decision" in (await browser.get(f"/cycles/{cycle}")).text
    assert await cycling.decided(cycle, MoneyAct.RELEASE_CYCLE) == "released"
    assert (await cycling.send(cycle)) == {"dexter": "settled"}
    await desk.referral("r2", order="o-r2")
    await desk.decide("r2", "approve")
    assert await desk.judge("r2") == "approved"
    later = await cycling.open(days=1)
    await cycling.settle(later)
    assert "dexter" not in await cycling.amounts(later)


async def test_the_same_decision_again_is_the_first_one(cycling: Cycling) -> None:
    first = await order(cycling.desk)
    digest = first.json()["digest"]
    again = await order(cycling.desk, digest=digest)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    once_more = await order(cycling.desk)
    assert (once_more.status_code, once_more.json()["rule"]) == (409, "not_now")


async def test_it_takes_finance_and_nobody_orders_it_for_themselves(cycling: Cycling) -> None:
    for by in ("paula", "oscar", "ada"):
        assert (await order(cycling.desk, as_=by)).status_code == 403
    marks = frozenset({"customer:dexter"})
    await cycling.desk.add_user("dex", Role.FINANCE, marks=marks)
    refused = await order(cycling.desk, as_="dex")
    assert (refused.status_code, refused.json()["rule"]) == (409, "own_claim"), refused.text
    assert await cycling.rows("SELECT 1 FROM payout_cycle") == []


async def test_an_order_by_somebody_barred_since_pays_nothing(cycling: Cycling) -> None:
    cycle = (await order(cycling.desk)).json()["cycle"]
    async with cycling.desk.database.transaction() as connection:
        await connection.execute(text("UPDATE app_user SET barred_at = now() WHERE name = 'fiona'"))
    assert await cycling.settle(cycle) == "done"


async def test_a_cycle_that_is_past_the_payee_leaves_it_to_the_next(cycling: Cycling) -> None:
    today = await cycling.open()
    assert await cycling.settle(today) == "done"
    made = (await order(cycling.desk)).json()
    assert made["cycle"] != str(today)
    assert [str(row.id) for row in await cycling.rows("SELECT id FROM payout_cycle")] == [str(today)]


async def test_nothing_due_is_nothing_to_order(cycling: Cycling) -> None:
    shown = await cycling.desk.get("/v1/cycles/below-minimum?program=acme-friends&payee=nobody")
    assert shown.status_code == 404
