"""`make screenshots`: the pictures of the README, from the demo's year of referrals before anyone decides on them."""

import asyncio
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, async_playwright
from rich.console import Console

from models.session import Database
from referral_rewards.api.desk.session.visiting import cookie_name
from referral_rewards.config.settings import Settings
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.local.demo import approvers, past
from referral_rewards.local.demo.output import Progress
from referral_rewards.local.demo.script import Script
from referral_rewards.local.embedded import free_port
from referral_rewards.local.stack import Ports, stack
from referral_rewards.register import programs
from referral_rewards.register.people import sessions

FOLDER: Final = Path(__file__).parent / "images"
CHROMIUM: Final = os.environ.get("CHROMIUM") or shutil.which("chromium")
#: What is shown, by the name of its picture: a page, and how wide and high the window is.
PICTURES: Final = {
    "queue": ("/queue", 1280, 860),
    "claim": ("/claims/{claim}", 1280, 1400),
    "queue-phone": ("/queue", 390, 844),
}
#: A claim with two competing referrers, so that the picture shows what a person is there for.
CLAIM: Final = "rival1"
PERSON: Final = "per"


async def main() -> None:
    """Starts a stack of its own, takes the demo's past in, and photographs it."""
    progress = Progress(Console())
    chosen: list[Settings] = []

    async def furnish(settings: Settings) -> None:
        chosen.append(settings)

    with tempfile.TemporaryDirectory(prefix="referrals-pictures-", ignore_cleanup_errors=True) as folder:
        ports = Ports(*(free_port() for _ in Ports._fields))
        async with stack(Path(folder), ports, bootstrap=[furnish], say=progress.say) as (_, info):
            token = await _furnished(chosen[0], progress)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                await _photographed(browser, info.api, token)
                await browser.close()


async def _furnished(settings: Settings, progress: Progress) -> str:
    """Publishes the demo's programs and takes its past in; the session of somebody who is signed in."""
    script, now = Script.load(), datetime.now(UTC)
    database = Database.at(settings.database_url, pool_size=2, personal=settings.personal())
    try:
        async with database.transaction() as connection:
            for source in script.programs:
                await programs.publish(connection, source, by="demo", at=now)
        await approvers.hire(database)
        await past.take_in(database, settings.pepper_bytes(), script, progress)
        async with database.transaction() as connection:
            return await sessions.begin(connection, PERSON, at=now, factor=Factor.NOT_ASKED)
    finally:
        await database.close()


async def _photographed(browser: Browser, url: str, token: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (path, width, height) in PICTURES.items():
        for scheme in ("light", "dark"):
            window = await browser.new_context(
                base_url=url, viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1
            )
            await window.add_cookies([{"name": cookie_name(secure=False), "value": token, "url": url}])
            page = await window.new_page()
            answer = await page.goto(path.format(claim=CLAIM))
            if answer is None or not answer.ok:
                raise RuntimeError(f"{page.url} does not show")
            await page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
            await window.close()


if __name__ == "__main__":
    asyncio.run(main())
