"""The list of clawback cases on the desk."""

import re
from html import unescape
from uuid import UUID

import pytest
from sqlalchemy import text

from tests import money
from tests.desk import Desk


@pytest.fixture
async def opened(desk: Desk) -> Desk:
    """A desk with a case of what was paid to dexter for the referral r1."""
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    await money.stand(desk, "r1")
    return desk


async def test_cases_are_listed_by_what_is_asked_of_them(opened: Desk) -> None:
    case = f'href="/clawbacks/{money.CASE}"'
    async with opened.browser("fiona") as browser:
        for query in ("", "state=open", "payee=dexter", "program=acme-friends", "referral=r1", "after=none"):
            assert case in (await browser.get(f"/clawbacks?{query}")).text, query
        for query in ("state=decided", "payee=x", "program=x", "referral=x", f"after={money.CASE}"):
            shown = await browser.get(f"/clawbacks?{query}")
            assert (shown.status_code, case in shown.text, "No clawback cases match these filters." in shown.text) == (
                200,
                False,
                True,
            ), query


async def test_a_case_is_listed_with_its_amounts_and_what_to_do_about_it(opened: Desk) -> None:
    async with opened.browser("fiona") as browser:
        shown = unescape((await browser.get("/clawbacks")).text)
        assert "25.00 USD" in shown
        assert "10.00 USD" in shown
        assert "The order was refunded." in shown
        assert 'href="/clawbacks" aria-current="page"' in shown
        assert '<a href="/clawbacks">Clawback cases</a>' in (await browser.get(f"/clawbacks/{money.CASE}")).text


async def test_a_long_list_goes_on_with_the_next_page(opened: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referral_rewards.api.desk.listing.ON_A_PAGE", 1)
    async with opened.database.transaction() as connection:
        await connection.execute(_ANOTHER, {"id": UUID(int=3)})
    async with opened.browser("fiona") as browser:
        address, seen = "/clawbacks?state=open", []
        while address:
            shown = (await browser.get(address)).text
            seen += re.findall(r'href="/clawbacks/([0-9a-f-]{36})"', shown)
            found = re.search(r'rel="next" data-key="n" href="([^"]*)"', shown)
            address = unescape(found[1]) if found else ""
    assert seen == [str(UUID(int=3)), str(money.CASE)]


async def _reward(desk: Desk) -> str:
    legs = (await desk.get("/v1/referrals/r1", "fiona")).json()["legs"]
    return str(next(each["leg"] for each in legs if each["role"] == "referrer"))


async def test_finance_opens_a_case_by_hand_through_the_api(opened: Desk) -> None:
    reward = await _reward(opened)
    shown = (await opened.get(f"/v1/clawbacks/rewards/{reward}", "fiona")).json()
    assert (shown["takes"], shown["paid_minor"], shown["room_minor"]) == (["open_clawback"], 2500, 2500)
    asked = {
        "reward": reward,
        "act": "open_clawback",
        "reason": "chargeback",
        "note": "a letter of the bank",
        "amount_minor": 1000,
    }
    asked["digest"] = shown["digest"]
    made = await opened.api.post("/v1/clawbacks", json=asked, headers=opened.bearer("fiona"))
    assert made.status_code == 201, made.text
    assert (made.json()["act"], made.json()["amount_minor"]) == ("open_clawback", 1000)
    found = (await opened.get("/v1/clawbacks?referral=r1", "fiona")).json()["cases"]
    its = [each for each in found if each["why"].startswith("fiona opened it by hand")]
    assert [(each["state"], each["proposed_minor"]) for each in its] == [("open", 1000)]
    again = await opened.api.post("/v1/clawbacks", json=asked, headers=opened.bearer("fiona"))
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    other = await opened.api.post("/v1/clawbacks", json={**asked, "reason": "fraud"}, headers=opened.bearer("fiona"))
    assert (other.status_code, other.json()["rule"]) == (409, "decided_meanwhile")
    digest = (await opened.get(f"/v1/clawbacks/rewards/{reward}", "fiona")).json()["digest"]
    for change, status in (({"amount_minor": 2501}, 409), ({"amount_minor": 0}, 422), ({"reason": "x"}, 422)):
        refused = await opened.api.post(
            "/v1/clawbacks", json={**asked, "digest": digest, **change}, headers=opened.bearer("fiona")
        )
        assert refused.status_code == status, refused.text


async def test_finance_opens_a_case_by_hand_on_the_desk_in_two_steps(opened: Desk) -> None:
    reward = await _reward(opened)
    here = f"/clawbacks/rewards/{reward}"
    async with opened.browser("fiona") as browser:
        assert f'href="{here}"' in (await browser.get("/claims/r1")).text
        assert "Open a clawback case" in (await browser.get(here)).text
        digest = (await opened.get(f"/v1{here}", "fiona")).json()["digest"]
        form = {"kind": "open_clawback", "reason": "fraud", "note": "seen", "digest": digest, "amount": "10.00"}
        assert "No money moves" in unescape((await browser.send(here, **form, step="review")).text)
        made = await browser.send(here, **form, step="record")
        assert made.status_code == 303
        assert made.headers["location"].startswith(f"{here}?recorded=")
        assert "Recorded as decision" in (await browser.get(made.headers["location"])).text


_ANOTHER = text("""
INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, state)
SELECT id, gen_random_uuid(), :id, referral_id, now(), 'the order was refunded', 'open' FROM leg WHERE role = 'referee'
""")
