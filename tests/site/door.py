"""A front door before the real API, reached over HTTP with a narrow token, and a real mail server behind it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from referral_rewards.config.site import SiteSettings
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.people.authority import Scope
from referral_rewards.notices.smtp import MailServer, Smtp
from referral_rewards.site import posting, telling
from referral_rewards.site.app import create_app
from referral_rewards.site.parts import Parts
from referral_rewards.site.rules.links import Link, expiring
from tests.desk import Desk
from tests.notices.mailbox import SENDER, Mailbox, mailbox

PROGRAMS: Final = Path(__file__).parents[2] / "examples" / "front-door" / "site.yaml"
SECRET, LINK_SECRET = "5e" * 16, "11" * 16
HOME: Final = "http://door.test"
TELLS: Final = (FactType.REFERRER_ENROLLED, FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED)


async def token_of_a_door(desk: Desk, *types: str) -> str:
    """A token that tells what a front door tells, and reads what it reads."""
    new = {
        "name": "front-door",
        "scopes": [Scope.EVENTS_WRITE, Scope.REFERRALS_READ],
        "sources": ["front-door"],
        "types": list(types or TELLS),
        "programs": ["acme-friends"],
    }
    added = await desk.api.post("/v1/users", json=new, headers=desk.bearer("ada"))
    assert added.status_code == 201, added.text
    return str(added.json()["token"])


def settings_of(folder: Path, api_url: str, token: str, **more: Any) -> SiteSettings:
    """The settings of a front door that keeps its store in a folder; its forms may be sent at once."""
    given = {
        "programs": PROGRAMS,
        "api_url": api_url,
        "token": token,
        "secret": SECRET,
        "link_secrets": [LINK_SECRET],
        "data": folder,
        "public_url": HOME,
        "form_seconds_min": 0,
        **more,
    }
    return SiteSettings(**given)


def link(customer: str, *, lasts: timedelta = timedelta(hours=1), secret: str = LINK_SECRET) -> str:
    """The signed link of a customer, as the company's own system makes it."""
    made = Link("acme-friends", customer, expiring(datetime.now(UTC), lasts))
    return f"/enrol?{made.query(bytes.fromhex(secret))}"


@dataclass
class Door:
    """The front door, what comes out of it, and people before it."""

    parts: Parts
    app: Any
    box: Mailbox
    people: list[httpx.AsyncClient] = field(default_factory=list)

    def person(self, address: str = "203.0.113.9", **headers: str) -> httpx.AsyncClient:
        """Somebody's browser without scripts."""
        transport = httpx.ASGITransport(self.app, client=(address, 1), raise_app_exceptions=False)
        browser = httpx.AsyncClient(transport=transport, base_url=HOME, headers=headers, follow_redirects=True)
        self.people.append(browser)
        return browser

    async def referrer(self, customer: str = "c-dexter", name: str = "Dexter") -> httpx.AsyncClient:
        """A customer who has just enrolled, before their own page."""
        browser = self.person()
        form = fields((await browser.get(link(customer))).text)
        page = await browser.post("/enrol", data={**form, "first_name": name, "agreed": "true"})
        assert (page.status_code, page.url.path) == (200, "/me"), page.text
        return browser

    async def work(self) -> None:
        """Send the letters and tell the facts that are due."""
        await posting.step(self.parts)
        await telling.step(self.parts)

    async def later(self, by: timedelta) -> None:
        """Let time pass for the front door alone."""
        before = self.parts.clock
        self.parts = replace(self.parts, clock=lambda: before() + by)
        self.app._app.state.parts = self.parts


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page, and the one that people leave empty."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


@asynccontextmanager
async def front_door(settings: SiteSettings) -> AsyncIterator[Door]:
    """A front door with a mail server of its own; its background work is done by `Door.work`."""
    async with mailbox() as (box, at):
        server: MailServer = at()
        parts = replace(Parts.of(settings), mailer=Smtp(server, SENDER))
        opened = Door(parts, create_app(parts), box)
        try:
            yield opened
        finally:
            for each in opened.people:
                await each.aclose()
            await opened.parts.close()
