"""A real Chromium before the real desk: the app is served on loopback over a real register, and pages are looked at.

Where there is no Chromium these tests are skipped and say so; with ``REQUIRE_BROWSER`` set (`.ci/run` does) that is an
error. A page that breaks its own security policy, or whose script fails, fails the test that opened it.
"""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from referral_rewards.loopback import served
from referral_rewards.register.people import passwords
from tests.desk import Desk, desk, furnish
from tests.snapshots import Snapshots

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
#: It fetches nothing from elsewhere, and works as root in a container.
_ALONE = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
#: For what comes however busy the machine is: nothing here is waited for that never does.
_PATIENCE_MS = 60_000.0
expect.set_options(timeout=_PATIENCE_MS)


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        told = "no Chromium here: install the package `chromium`, or name one in CHROMIUM"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(told)
        pytest.skip(told)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ALONE, timeout=2 * _PATIENCE_MS)
        yield browser
        await browser.close()


@dataclass
class Office:
    """The desk as it is served, and the people who sit before it, each with a browser window of their own."""

    desk: Desk
    url: str
    chromium: Browser
    windows: list[BrowserContext] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    passwords: set[str] = field(default_factory=set)

    async def window(self, **how: Any) -> Page:
        """A fresh window in which nobody is signed in; ``how`` as Playwright's contexts take it."""
        context = await self.chromium.new_context(base_url=self.url, **how)
        context.set_default_timeout(_PATIENCE_MS)
        self.windows.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("console", lambda message: self._heard(page, message.type, message.text))
        return page

    async def sign_in(self, user: str, **how: Any) -> Page:
        """A window in which the user has signed in by the sign-in page, and stands before the queue."""
        page = await self.window(**how)
        await page.goto("/sign-in")
        await self.fill_in(page, user)
        await page.wait_for_url("**/queue")
        return page

    async def fill_in(self, page: Page, user: str) -> None:
        """Gives name and password on the sign-in page that is open."""
        password = f"a long password of {user}"
        if user not in self.passwords:
            async with self.desk.database.transaction() as connection:
                await passwords.keep(connection, user, await passwords.hash_of(password))
            self.passwords.add(user)
        await page.get_by_label("Name").fill(user)
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in", exact=True).click()

    def _heard(self, page: Page, kind: str, text: str) -> None:
        # A refusal is a page with a status of its own, which the browser also tells its console.
        if kind == "error" and "Failed to load resource" not in text:
            self.problems.append(f"{page.url}: {text}")


@pytest.fixture
async def office(snapshots: Snapshots, chromium: Browser, quick_passwords: None) -> AsyncIterator[Office]:
    async with (
        snapshots.of(furnish) as (database_url, furniture),
        desk(database_url, furniture) as opened,
        served(opened.app) as url,
    ):
        office = Office(opened, url, chromium)
        yield office
        for window in office.windows:
            await window.close()
    assert office.problems == []
