"""Setting up a second factor and signing in with it in a browser: the picture is shown, each page serves everybody."""

from dataclasses import replace

import pyotp
from playwright.async_api import Page, expect

from referral_rewards.register.sealing import Sealer
from tests.browser.conftest import Office
from tests.browser.test_every_page import inaccessible, wide


async def test_an_approver_sets_one_up_and_signs_in_with_it(office: Office) -> None:
    parts = replace(office.desk.parts, sealer=Sealer([b"k" * 32]), second_factor_required=True)
    office.desk.parts = office.desk.app.state.parts = parts
    page = await office.window()
    await page.goto("/queue")
    await office.fill_in(page, "paula")
    await page.wait_for_url("**/account/second-factor?return_to=/queue")
    await _serves_everybody(page)
    await page.get_by_role("button", name="Set up a second factor").click()
    picture = page.get_by_alt_text("QR code with the secret below")
    assert await picture.evaluate("image => image.complete && image.naturalWidth > 0"), "our policy allows it"
    secret = (await page.locator("li code").inner_text()).replace(" ", "")
    await _serves_everybody(page)
    await page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    await page.get_by_role("button", name="Set up").click()
    codes = page.get_by_role("listitem").locator("code")
    await expect(codes).to_have_count(10)
    recovery = await codes.first.inner_text()
    await _serves_everybody(page)
    await page.get_by_role("link", name="I have kept them").click()
    await page.wait_for_url("**/queue")
    again = await office.window()
    await again.goto("/sign-in")
    await office.fill_in(again, "paula")
    await expect(again.get_by_label("Code of your second factor")).to_be_focused()
    await _serves_everybody(again)
    await again.get_by_label("Code of your second factor").fill(recovery)
    await again.get_by_role("button", name="Sign in", exact=True).click()
    await again.wait_for_url("**/queue")


async def _serves_everybody(page: Page) -> None:
    found = [*await inaccessible(page, "light"), *await inaccessible(page, "dark"), *await wide(page)]
    assert found == [], page.url
