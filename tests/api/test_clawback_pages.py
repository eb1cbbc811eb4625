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
    monkeypatch.setattr("referral_rewards.api.desk.clawbacks._ON_A_PAGE", 1)
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


_ANOTHER = text("""
INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, state)
SELECT id, gen_random_uuid(), :id, referral_id, now(), 'the order was refunded', 'open' FROM leg WHERE role = 'referee'
""")
