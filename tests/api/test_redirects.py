"""Redirects over the API: what is shown, who may sign, and what finance sees of it afterwards."""

from typing import Any

import httpx
import pytest

from tests.desk import Desk
from tests.register.crowd import enrolment, life

PATH = "/v1/redirects?payee=mira&rail=stripe_transfer"
TERMS = """
program: friends
name: Friends
effective_from: 2025-01-01T00:00:00Z
timezone: UTC
currency: USD
periods: {expiry: {email: P30D}, offer: P30D, grace: P30D, return: P14D}
qualifying: {kinds: [purchase]}
rewards: {referrer: {kind: cash, amount: "25.00"}}
approval: {routes: {cash: [finance]}}
payouts: {rails: {cash: stripe_transfer}}
"""


@pytest.fixture
async def approved(desk: Desk) -> Desk:
    """A desk at which a cash reward was approved before its payee named an account."""
    await desk.publish(TERMS)
    assert (await desk.tell([*enrolment("mira"), *life("m1", "mira", referee="otto", order="o1")])).is_success
    assert await desk.judge("m1") == "awaiting_approval"
    assert (await desk.decide("m1", "approve", as_="fiona")).status_code == 201
    assert await desk.judge("m1") == "approved"
    return desk


async def _set(desk: Desk, id_: str, reference: str) -> None:
    data = {"payee": "mira", "rail": "stripe_transfer", "reference": reference}
    event = {"specversion": "1.0", "id": id_, "source": "t", "type": "payee.method_set", "data": data}
    assert (await desk.tell([{**event, "time": "2026-06-01T12:00:00Z"}])).is_success
    await desk.judge("m1")


async def _redirect(desk: Desk, as_: str = "fiona", **given: Any) -> httpx.Response:
    digest = (await desk.get(PATH, as_="fiona")).json()["digest"]
    asked = {"payee": "mira", "rail": "stripe_transfer", "reason": "other", "note": "called", "digest": digest}
    return await desk.api.post("/v1/redirects", json={**asked, **given}, headers=desk.bearer(as_))


async def test_the_first_account_is_bound_by_one_of_finance(approved: Desk) -> None:
    shown = (await approved.get(PATH, as_="fiona")).json()
    assert [(each["referral"], each["amount_minor"]) for each in shown["waiting"]] == [("m1", 2500)]
    assert (shown["destination"], shown["rule"]) == (None, "no_method")
    await _set(approved, "s1", "acct_mira1")
    assert (await approved.get(PATH, as_="paula")).status_code == 403

    assert (await _redirect(approved, as_="paula")).status_code == 403
    made = await _redirect(approved, to="acct_mira1")
    assert made.status_code == 201, made.text
    assert (made.json()["destination"], made.json()["people"]) == ("acct_mira1", 1)

    assert await approved.judge("m1") == "approved"
    (payout,) = (await approved.get("/v1/payouts?referral=m1", as_="fiona")).json()["payouts"]
    assert (payout["state"], payout["destination"]) == ("approved", "acct_mira1")
    async with approved.browser("fiona") as browser:
        assert (await browser.client.get("/audit")).status_code in (200, 403)


async def test_another_account_shows_the_one_before_and_waits_for_the_payee_to_be_told(approved: Desk) -> None:
    await _set(approved, "s1", "acct_mira1")
    await _set(approved, "s2", "acct_other9")

    shown = (await approved.get(PATH, as_="fiona")).json()
    seen = (shown["destination"], shown["former"], shown["source"], shown["people"], shown["rule"])
    assert seen == ("acct_other9", ["acct_mira1"], "t", 2, "not_told")
    refused = await _redirect(approved)
    assert (refused.status_code, refused.json()["rule"]) == (409, "not_told")


async def test_a_wrong_rail_account_or_digest_gets_one_line(approved: Desk) -> None:
    await _set(approved, "s1", "acct_mira1")

    assert (await approved.get("/v1/redirects?payee=mira&rail=pigeon", as_="fiona")).status_code == 422
    assert (await approved.get("/v1/redirects?payee=nobody&rail=manual", as_="fiona")).status_code == 404
    assert (await _redirect(approved, to="acct_other9")).json()["rule"] == "not_on_record"
    assert (await _redirect(approved, digest="0" * 64)).json()["rule"] == "stale"
