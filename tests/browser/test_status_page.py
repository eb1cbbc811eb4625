"""A referrer before their own status, without an account: reading where it stands, and appealing."""

import re

import pytest
from axe_playwright_python.async_playwright import Axe

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals
from tests.browser.conftest import Office
from tests.desk import days_ago, event


async def expired(office: Office) -> str:
    """The address of the referrer's status page of a referral that expired."""
    who = {"customer": "c-b1", "email": "b1@example.com"}
    about = {"referral": "b1", "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    await office.desk.tell([event("b1-1", "referral.sent", days_ago(40), about)])
    assert await office.desk.judge("b1") == "expired"
    async with office.desk.database.transaction() as connection:
        row = await referrals.row(connection, "b1")
        return status_links.path(office.desk.parts.intake.key_for(status_links.PURPOSE), row, Side.REFERRER)


async def test_somebody_appeals_without_an_account_and_is_thanked(office: Office) -> None:
    page = await office.window(viewport={"width": 390, "height": 800})
    await page.goto(await expired(office))
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.get_by_label(re.compile("Why do you think this is wrong")).fill("It was claimed in the shop on the 2nd.")
    await page.get_by_role("button", name="Send the appeal").click()
    await page.get_by_text("We received your appeal").wait_for()
    await office.desk.judge("b1")
    shown = (await office.desk.get("/v1/referrals/b1")).json()
    assert [fact["type"] for fact in shown["facts"] if fact["late"]] == ["referral.appealed"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_status_page_is_accessible(office: Office, scheme: str) -> None:
    page = await office.window(color_scheme=scheme)
    await page.goto(await expired(office))
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
