"""People decide in a real browser: by pointer and by key, one after the other, on what changed, with four eyes."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import text

from tests.browser.conftest import Office
from tests.desk import event


async def _choose(page: Page, kind: str, reason: str, note: str) -> None:
    """Fills in the decision form and goes on to the page that shows what would be recorded."""
    await page.get_by_label(kind, exact=True).check()
    await page.get_by_label("Reason").select_option(label=reason)
    await page.get_by_label("Note", exact=True).fill(note)
    await page.get_by_role("button", name="Review the decision").click()


async def _decisions(office: Office) -> list[tuple[str, str]]:
    async with office.desk.database.transaction() as connection:
        rows = await connection.execute(text("SELECT username, kind FROM decision ORDER BY seq"))
        return [(row.username, row.kind) for row in rows]


async def test_somebody_signs_in_finds_a_claim_and_approves_it(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula")
    await page.get_by_role("link", name="r1").first.click()
    await expect(page.get_by_role("heading", name="Recommendation: approve")).to_be_visible()
    await _choose(page, "Approve", "The terms are met", "order and claim agree")
    await expect(page.get_by_text("What will be recorded")).to_be_visible()
    assert await _decisions(office) == []
    await page.get_by_role("button", name="Record: approve").click()
    await expect(page.get_by_role("status")).to_contain_text("Recorded as decision 1: approved")
    assert await _decisions(office) == [("paula", "approve")]
    assert await office.desk.judge("r1") == "approved"


@pytest.mark.chaos
async def test_a_decision_takes_no_pointer(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula")
    await page.goto("/claims/r1")
    await page.keyboard.press("a")
    await page.keyboard.press("Tab")
    await page.keyboard.type("T")
    await page.keyboard.press("Tab")
    await page.keyboard.type("a note with the letters d, h and n in it")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Approve: r1?")).to_be_visible()
    await page.get_by_role("button", name="Record: approve").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Recorded")
    assert await _decisions(office) == [("paula", "approve")]


async def test_a_decision_is_asked_for_what_it_names_and_for_nothing_else(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula")
    await page.goto("/claims/r1")
    await page.get_by_role("radio", name="Approve", exact=True).check()
    await expect(page.locator("[data-of=adjust]").first).to_be_hidden()
    await page.get_by_role("radio", name="Adjust a reward", exact=True).check()
    await expect(page.locator("[data-of=adjust]").first).to_be_visible()


@pytest.mark.chaos
async def test_an_override_takes_two_people_and_says_so(office: Office) -> None:
    await office.desk.referral("r1", email="dexter@example.com")
    waiting = []
    for user in ("fiona", "oscar", "paula"):
        page = await office.sign_in(user)
        await page.goto("/claims/r1")
        await _choose(page, "Approve", "An exception was granted", "siblings, on record")
        await expect(page.get_by_text("This is an override.")).to_be_visible()
        await page.get_by_role("button", name="Record: approve").click()
        await expect(page.get_by_role("status")).to_contain_text("Recorded")
        waiting.append(await office.desk.judge("r1"))
    assert waiting == ["awaiting_approval", "awaiting_approval", "approved"]


@pytest.mark.chaos
async def test_who_signed_is_not_offered_to_sign_again(office: Office) -> None:
    await office.desk.referral("r1", email="dexter@example.com")
    page = await office.sign_in("fiona")
    await page.goto("/claims/r1")
    await _choose(page, "Approve", "An exception was granted", "siblings, on record")
    await page.get_by_role("button", name="Record: approve").click()
    # Whoever goes elsewhere before the answer is there may have taken back the asking.
    await expect(page.get_by_role("status")).to_contain_text("Recorded")
    await page.goto("/claims/r1")
    await expect(page.get_by_label("Approve", exact=True)).to_be_disabled()
    await expect(page.locator("#about-approve")).to_contain_text("another person must")


@pytest.mark.chaos
async def test_of_two_approvers_at_the_same_moment_one_wins_and_the_other_is_told(office: Office) -> None:
    await office.desk.add_user("percy", *(await _roles(office, "paula")))
    await office.desk.referral("r1")
    pages = [await office.sign_in(user) for user in ("paula", "percy")]
    for page in pages:
        await page.goto("/claims/r1")
        await _choose(page, "Approve", "The terms are met", "looked at it")
    first, second = pages
    await first.get_by_role("button", name="Record: approve").click()
    await expect(first.get_by_role("status")).to_contain_text("Recorded")
    await second.get_by_role("button", name="Record: approve").click()
    await expect(second.get_by_role("alert").first).to_contain_text("Nothing was recorded")
    await expect(second.get_by_role("alert").first).to_contain_text("paula")
    assert await _decisions(office) == [("paula", "approve")]


async def test_a_claim_that_changed_is_shown_again_with_what_changed_and_with_the_note(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula")
    await page.goto("/claims/r1")
    await _choose(page, "Approve", "The terms are met", "eighty dollars, as agreed")
    refund = {"order": "o-r1", "kind": "refund", "amount": "10.00"}
    await office.desk.tell(event("refund", "conversion.reversed", datetime.now(UTC), refund))
    await office.desk.judge("r1")
    await page.get_by_role("button", name="Record: approve").click()
    await expect(page.get_by_role("alert").first).to_contain_text("The claim changed while you were looking at it")
    await expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    await expect(page.get_by_label("Note", exact=True)).to_have_value("eighty dollars, as agreed")
    assert await _decisions(office) == []


@pytest.mark.chaos
async def test_an_expired_session_loses_nothing_that_was_typed(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula")
    await page.goto("/claims/r1")
    await page.get_by_label("Deny", exact=True).check()
    await page.get_by_label("Reason").select_option(label="The terms are not met")
    await page.get_by_label("Note", exact=True).fill("a long and careful note")
    async with office.desk.database.transaction() as connection:
        await connection.execute(text("UPDATE session SET seen_at = seen_at - interval '1 day'"))
    await page.get_by_role("button", name="Review the decision").click()
    await expect(page.get_by_text("Your session had ended")).to_be_visible()
    await office.fill_in(page, "paula")
    await expect(page.get_by_text("a long and careful note")).to_be_visible()
    assert await _decisions(office) == []
    await page.get_by_role("button", name="Send it", exact=True).click()
    await expect(page.get_by_role("heading", name="Deny: r1?")).to_be_visible()
    await page.get_by_role("button", name="Record: deny").click()
    await expect(page.get_by_role("status")).to_contain_text("Recorded")
    assert await _decisions(office) == [("paula", "deny")]


async def test_without_scripts_everything_can_be_decided_too(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula", java_script_enabled=False)
    await page.goto("/claims/r1")
    await _choose(page, "Put on hold", "Under investigation", "waits for the shop")
    await page.get_by_role("button", name="Record: put on hold").click()
    await expect(page.get_by_role("status")).to_contain_text("Recorded")
    assert await _decisions(office) == [("paula", "hold")]


async def _roles(office: Office, user: str) -> list[str]:
    async with office.desk.database.transaction() as connection:
        found = await connection.execute(text("SELECT roles FROM app_user WHERE name = :name"), {"name": user})
        return list(found.scalar_one())
