"""The queue in a real browser: by keyboard, and many claims at once."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Office


async def test_many_claims_are_selected_by_keyboard_and_decided_together(office: Office) -> None:
    for name in ("a", "b", "c"):
        await office.desk.referral(name)
    page = await office.sign_in("paula")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    for key in ("j", "x", "j", "j", "k", "x"):
        await page.keyboard.press(key)
    await expect(page.get_by_label("Select referral a")).to_be_checked()
    await expect(page.get_by_label("Select referral b")).to_be_checked()
    await expect(page.get_by_label("Select referral c")).not_to_be_checked()
    await page.get_by_role("button", name="Decide on the selected").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Decide on 2 claims")
    await expect(page.get_by_text("66.00 USD in total")).to_be_visible()
    await page.get_by_label("Approve", exact=True).check()
    await page.get_by_label("Reason").select_option("terms_met")
    await page.get_by_label("Note (recorded on each claim)").fill("looked at them")
    await page.get_by_role("button", name="Record 2 decisions").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("2 decisions recorded")


@pytest.mark.chaos
async def test_all_that_is_shown_is_selected_and_the_search_has_a_key(office: Office) -> None:
    for name in ("a", "b"):
        await office.desk.referral(name)
    page = await office.sign_in("paula")
    await page.get_by_label("Select all on this page").check()
    for name in ("a", "b"):
        await expect(page.get_by_label(f"Select referral {name}")).to_be_checked()
    await page.get_by_label("Select all on this page").uncheck()
    await page.keyboard.press("/")
    await page.keyboard.type("b")
    await page.keyboard.press("Enter")
    # Loaded, scripts and all: on a page that is only just there nobody listens to keys.
    await page.wait_for_url("**/queue?**q=b**")
    await expect(page.get_by_label("Select referral a")).to_have_count(0)
    await page.keyboard.press("j")
    await page.keyboard.press("o")
    await page.wait_for_url("**/claims/b**")


async def test_rows_keep_themselves_up_to_date_while_nobody_works_in_them(office: Office) -> None:
    await office.desk.referral("a")
    page = await office.window()
    await page.clock.install()
    await page.goto("/sign-in")
    await office.fill_in(page, "paula")
    await page.wait_for_url("**/queue")
    await office.desk.referral("b")
    await page.clock.run_for(16_000)
    await expect(page.get_by_label("Select referral b")).to_be_visible()
    await page.get_by_label("Select referral a").check()
    await office.desk.referral("c")
    await page.clock.run_for(16_000)
    await expect(page.get_by_label("Select referral c")).to_have_count(0)
    await page.get_by_label("Select referral a").uncheck()
    await page.get_by_role("heading", level=1).click()
    await page.clock.run_for(16_000)
    await expect(page.get_by_label("Select referral c")).to_be_visible()
