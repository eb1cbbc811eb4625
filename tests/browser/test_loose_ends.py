"""What no rule can settle, on the desk: its tabs and the page that sets it aside, in light and dark and on a phone."""

from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Office
from tests.browser.test_every_page import inaccessible, wide
from tests.desk import days_ago, event
from tests.stuck.claims import judge_all

_WHO: Final = {"customer": "c-r1", "email": "r1@example.com"}


def _facts() -> list[dict[str, Any]]:
    sent = {"program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": _WHO}
    link = {"program": "acme-friends", "referrer_code": "DEXTRE", "channel": "link", "referee": {"customer": "c-2"}}
    order = {"order": "o-7", "kind": "purchase", "amount": "80.00", "currency": "USD", "customer": {"customer": "c-7"}}
    mia = {"referrer": "mia", "program": "acme-friends", "code": "MIA-7", "customer": "c-mia"}
    return [
        event("mia", "referrer.enrolled", days_ago(200), mia),
        event("1", "referral.sent", days_ago(20), {**sent, "program": "acme-frends", "referral": "r0"}),
        event("2", "referral.claimed", days_ago(19), link),
        event("3", "conversion.recorded", days_ago(18), {**order, "coupon": "mia 7"}),
        event("4", "referral.sent", days_ago(20), {**sent, "referral": "r1"}),
        event("5", "referral.claimed", days_ago(19), {"referral": "r1", "referee": _WHO}),
        event("6", "conversion.reported", days_ago(9), {"referral": "r1", "order": "o-shop", "by": "referee"}),
    ]


@pytest.mark.chaos
async def test_each_tab_and_the_page_that_sets_aside_serve_everybody(office: Office) -> None:
    desk = office.desk
    assert (await desk.tell(_facts())).json()["conflicts"] == 0
    await judge_all(desk)
    page = await office.sign_in("oscar")
    for kind in ("parked", "unlinked_claim", "unlinked_order", "reported"):
        await page.goto(f"/queue?exception={kind}")
        await _looked_at(page)
        await page.get_by_role("link", name="Set aside…").click()
        await _looked_at(page)
    await page.goto("/queue?exception=parked")
    await page.get_by_role("link", name="Set aside…").click()
    await page.get_by_label("Why nothing is to be done").fill("The shop sent it again.")
    await page.get_by_role("button", name="Set aside").click()
    await page.wait_for_url("**/queue")
    await expect(page.get_by_role("link", name="Parked facts")).to_have_count(0)


async def _looked_at(page: Page) -> None:
    assert await inaccessible(page, "light") == []
    assert await inaccessible(page, "dark", runOnly=["color-contrast"]) == []
    assert await wide(page) == []
