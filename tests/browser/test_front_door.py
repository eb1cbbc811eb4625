"""The whole way of a referral through the front door, before real browsers.

A customer enrols by a signed link and invites a friend, the friend accepts on a phone without scripts and buys, the
shop tells by its webhooks, an approver approves, and the customer sees what it earned.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from referral_rewards.config.event_sources import load
from referral_rewards.local import event_sources
from referral_rewards.local.sandbox.shops.delivery import deliver, signing
from referral_rewards.local.sandbox.shops.sale import Sale
from referral_rewards.local.sandbox.shops.shopify import Shopify
from referral_rewards.loopback import served
from tests.browser.conftest import Office
from tests.desk import PROGRAM, days_ago
from tests.site.door import front_door, link, settings_of, token_of_a_door

#: The front door stands so far in the past that the return period of what is bought there is over.
_AGO = timedelta(days=20)


async def accessible(page: Page) -> None:
    """Finds no fault in a page, which is no wider than its window."""
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    size = page.viewport_size
    assert size is not None
    assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]


async def bought_at_the_shop(office: Office, data: Path, sale: Sale) -> None:
    """The webhooks of the sandbox shop, by real HTTP, at the source that a local stack sets up."""
    sources = load(event_sources.written(data))
    office.desk.app.state.parts = replace(office.desk.parts, event_sources=sources)
    answers = await deliver(office.url, Shopify().sell(sale), signing(event_sources.secrets_of(data)))
    assert answers == {"recorded": 2, "ignored": 1}


async def test_a_referral_goes_the_whole_way_from_the_front_door(office: Office, tmp_path: Path) -> None:
    # Facts are not waited for: those of the front door have just come, of whatever day they tell.
    at_once = PROGRAM.replace("2025-01-01T", "2025-02-01T").replace(
        "arrival_allowance: PT1H", "arrival_allowance: PT0S"
    )
    await office.desk.publish(at_once)
    app: list[Any] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await app[0](scope, receive, send)

    async with served(late) as url:
        token = await token_of_a_door(office.desk)
        async with front_door(settings_of(tmp_path / "site", office.url, token, public_url=url)) as door:
            door.parts = replace(door.parts, clock=lambda: datetime.now(UTC) - _AGO)
            door.app._app.state.parts = door.parts
            app.append(door.app)

            dexter = await office.window(viewport={"width": 390, "height": 800})
            await dexter.goto(url + link("c-dexter"))
            await accessible(dexter)
            await dexter.get_by_label("Your first name").fill("Dexter")
            await dexter.get_by_label("I agree to the rules").check()
            await dexter.get_by_role("button", name="Take part").click()
            await expect(dexter.get_by_role("heading", name="Your link")).to_be_visible()
            await dexter.get_by_text("Show it to be scanned").click()
            await expect(dexter.get_by_alt_text("QR code of your link")).to_be_visible()
            await dexter.get_by_label("Email address of your friend").fill("brie@example.com")
            await dexter.get_by_role("button", name="Send the invitation").click()
            await expect(dexter.get_by_role("status")).to_contain_text("We write to your friend")
            await accessible(dexter)
            await door.work()

            (letter,) = door.box.letters
            body: Any = letter.get_body(("plain",))
            invited = next(line for line in body.get_content().split() if line.startswith(f"{url}/i/"))
            brie = await office.window(viewport={"width": 390, "height": 800}, java_script_enabled=False)
            await brie.goto(invited)
            await expect(brie.get_by_role("heading", name="Dexter invites you to Acme")).to_be_visible()
            await brie.get_by_role("button", name="Accept the invitation").click()
            await brie.get_by_label("Your email address").fill("brie@example.com")
            await brie.get_by_label("I take the invitation").check()
            await brie.get_by_role("button", name="Accept the invitation").click()
            await expect(brie.get_by_role("heading", name="Thank you")).to_be_visible()
            for path in (invited, f"{invited}/claimed", f"{invited}/stop", f"{url}/none-such"):
                seen = await office.window(viewport={"width": 390, "height": 800})
                await seen.goto(path)
                await accessible(seen)
            await door.work()

            await bought_at_the_shop(office, tmp_path, Sale(5001, days_ago(19), "brie@example.com", Decimal("80.00")))
            referral = urlsplit(invited).path.removeprefix("/i/")
            assert await office.desk.judge(referral) == "awaiting_approval"

            paula = await office.sign_in("paula")
            await paula.goto(f"/claims/{referral}")
            await paula.get_by_label("Approve", exact=True).check()
            await paula.get_by_label("Reason").select_option(label="The terms are met")
            await paula.get_by_label("Note", exact=True).fill("order and claim agree")
            await paula.get_by_role("button", name="Review the decision").click()
            await paula.get_by_role("button", name="Record: approve").click()
            await expect(paula.get_by_role("status")).to_contain_text("Recorded")
            assert await office.desk.judge(referral) == "approved"

            await dexter.goto(f"{url}/me")
            await expect(dexter.get_by_text("25.00 USD approved and on its way")).to_be_visible()
            await expect(dexter.get_by_role("heading", name="b•••@e•••.com")).to_be_visible()
            await accessible(dexter)
