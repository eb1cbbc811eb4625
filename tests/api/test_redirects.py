"""Redirects over the API: what is shown, who may sign, and what finance sees of it afterwards."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
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


PAGE = "/redirects?payee=mira&rail=stripe_transfer"


async def _letter_delivered(desk: Desk, hours_ago: float) -> None:
    """The letter about the change reached mira so long ago, at the address known before."""
    async with desk.database.transaction() as connection:
        sent = text("""
            UPDATE notice SET state = 'sent', due_at = NULL, settled_at = now() - make_interval(hours => :hours)
            WHERE template = 'method_changed' RETURNING id
        """)
        assert (await connection.execute(sent, {"hours": hours_ago})).all()


async def test_the_desk_binds_the_first_account_in_two_steps(approved: Desk) -> None:
    async with approved.browser("fiona") as fiona:
        assert "No payment method (Stripe transfer) of theirs is on record" in (await fiona.get(PAGE)).text
        await _set(approved, "s1", "acct_mira1")
        shown = (await fiona.get(PAGE)).text
        assert all(said in shown for said in ("acct_mira1", "one person of finance", "25.00 USD", "by source t"))
        assert "/redirects?payee=mira&amp;rail=stripe_transfer" in (await fiona.get("/payees/mira")).text
        digest = (await approved.get(PATH, as_="fiona")).json()["digest"]
        typed = {"reason": "confirmed_with_payee", "note": "called", "digest": digest}
        assert "Choose a reason." in (await fiona.send(PAGE, step="review", **{**typed, "reason": ""})).text
        assert "to acct_mira1" in (await fiona.send(PAGE, step="review", **typed)).text
        assert "called" in (await fiona.send(PAGE, step="edit", **typed)).text
        made = await fiona.send(PAGE, step="record", **typed)
        assert made.status_code == 303
        assert "Recorded as decision 2" in (await fiona.get(made.headers["location"])).text
    assert await approved.judge("m1") == "approved"
    (payout,) = (await approved.get("/v1/payouts?referral=m1", as_="fiona")).json()["payouts"]
    assert payout["destination"] == "acct_mira1"


async def test_the_desk_shows_both_accounts_and_how_long_the_payee_may_object(approved: Desk) -> None:
    await _set(approved, "s1", "acct_mira1")
    await _set(approved, "s2", "acct_other9")
    async with approved.browser("fiona") as fiona:
        shown = (await fiona.get(PAGE)).text
        assert all(said in shown for said in ("acct_mira1", "acct_other9", "two people of finance", "not yet, at an"))
        assert 'value="review"' not in shown, "what can't be done is not asked for"
        await _letter_delivered(approved, hours_ago=22)
        shown = (await fiona.get(PAGE)).text
        assert "(in 1 h)" in shown
        assert 'value="review"' not in shown


async def test_two_people_bind_another_account_at_the_desk(approved: Desk) -> None:
    await approved.add_user("frank", Role.FINANCE)
    await _set(approved, "s1", "acct_mira1")
    await _set(approved, "s2", "acct_other9")
    await _letter_delivered(approved, hours_ago=25)
    digest = (await approved.get(PATH, as_="fiona")).json()["digest"]
    typed = {"reason": "confirmed_with_payee", "note": "called", "digest": digest, "step": "record"}
    async with approved.browser("fiona") as fiona, approved.browser("frank") as frank:
        assert (await fiona.send(PAGE, **typed)).status_code == 303
        shown = (await fiona.get(PAGE)).text
        assert "another person must" in shown
        assert 'value="review"' not in shown
        assert 'value="review"' in (await frank.get(PAGE)).text
        assert (await frank.send(PAGE, **typed)).status_code == 303
    assert await approved.judge("m1") == "approved"
    (payout,) = (await approved.get("/v1/payouts?referral=m1", as_="fiona")).json()["payouts"]
    assert payout["destination"] == "acct_other9"


async def test_the_desk_shows_a_redirect_to_nobody_without_the_books(approved: Desk) -> None:
    await _set(approved, "s1", "acct_mira1")
    async with approved.browser("oscar") as oscar, approved.browser("ada") as ada:
        assert (await oscar.get(PAGE)).status_code == 403
        shown = (await ada.get(PAGE)).text
        assert 'value="review"' not in shown
        assert "you need the role finance" in shown
        assert "in clear" not in shown, "an administrator may not look"


async def test_finance_looks_at_both_accounts_from_the_page_of_a_redirect(approved: Desk) -> None:
    await _set(approved, "s1", "acct_mira1")
    await _set(approved, "s2", "mira@example.com")
    async with approved.browser("fiona") as fiona:
        page = await fiona.get(PAGE)
        assert 'action="/looks"' in page.text
        assert "mira@example.com" not in page.text
        seen = await fiona.send("/looks", payee="mira", why="redirect")
        assert (seen.status_code, seen.headers["Cache-Control"]) == (200, "no-store")
        assert all(said in seen.text for said in ("acct_mira1", "mira@example.com", "present"))
        assert "payee seen in clear" in (await fiona.get("/audit?act=payee.seen&subject=mira")).text
        assert (await fiona.client.post("/looks", data={"payee": "mira", "why": "redirect"})).status_code == 403
    async with approved.browser("ada") as ada:
        assert (await ada.send("/looks", payee="mira", why="redirect")).status_code == 403


async def test_finance_pays_a_leaving_payee_below_the_minimum_at_the_desk(desk: Desk) -> None:
    terms = TERMS.replace("payouts: {rails: {cash: stripe_transfer}}", CYCLE)
    await desk.publish(terms)
    assert (await desk.tell([*enrolment("mira"), *life("m1", "mira", referee="otto", order="o1")])).is_success
    await _set(desk, "s1", "acct_mira1")
    assert (await desk.decide("m1", "approve", as_="fiona")).status_code == 201
    await desk.judge("m1")
    page = "/cycles/below-minimum?program=friends&payee=mira"
    async with desk.browser("fiona") as fiona:
        assert page.replace("&", "&amp;") in (await fiona.get("/payees/mira")).text
        shown = await fiona.get(page)
        assert all(said in shown.text for said in ("25.00 USD", "40.00 USD", 'value="review"'))
        found = (await desk.get(f"/v1{page}", as_="fiona")).json()
        typed = {"reason": "payee_leaves", "note": "asked by letter", "digest": found["digest"]}
        assert "25.00 USD to mira" in (await fiona.send(page, step="review", **typed)).text
        made = await fiona.send(page, step="record", **typed)
        assert made.status_code == 303
        after = await fiona.get(made.headers["location"])
        assert "Recorded as decision" in after.text
        assert 'value="review"' not in after.text
        assert page.replace("&", "&amp;") not in (await fiona.get("/payees/mira")).text
    async with desk.browser("oscar") as oscar:
        assert (await oscar.get(page)).status_code == 403


CYCLE = 'payouts: {rails: {cash: stripe_transfer}, timing: {cycle: monthly, day: 15, minimum: "40.00"}}'
