"""The front door in the local stack: it gets a token of its own and two secrets, and nothing else of the stack's."""

import asyncio
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Final

import httpx
import yaml

from referral_rewards.config.credentials import stored
from referral_rewards.config.stack import PREFIX
from referral_rewards.local.children import is_ok
from referral_rewards.local.embedded import HOST
from referral_rewards.local.keys import secret
from referral_rewards.local.supervisor import Program
from referral_rewards.site.rules.links import Link, expiring

#: The service user that the front door tells facts as.
USER: Final = "front-door"
#: The programs that it shows, in the repository. An installed wheel does not have them.
PROGRAMS: Final = Path(__file__).resolve().parents[2] / "examples" / "front-door" / "site.yaml"
_SITE: Final = f"{PREFIX}SITE_"
#: A referrer of the example, whose own page has something to show; under this id the example's facts name them.
_READY: Final = ("acme-friends", "dexter", "Dexter")
_HIDDEN: Final = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
#: What whoever tries it out enrols as, in the program in which a referral is lived through in a minute or two.
_TRIED: Final = ("acme-today", "c-you")
_LINK_LASTS: Final = timedelta(days=30)


def program(data: Path, port: int, api: str, given: Mapping[str, str], shop: str | None = None) -> Program | None:
    """Return the program of the front door; None without its token, or without the programs that it shows. It sends
    friends on to the ``shop``, if there is one."""
    token = stored(data).get(USER)
    if token is None or not PROGRAMS.is_file():
        return None
    env = environment(data, port, api, token, given, shop)

    async def answers() -> bool:
        return await asyncio.to_thread(is_ok, port, "/readyz")

    command = [sys.executable, "-m", "referral_rewards.site"]
    return Program("front door", command, data / "logs" / "site.log", answers, env=env)


def environment(
    data: Path, port: int, api: str, token: str, given: Mapping[str, str], shop: str | None = None
) -> dict[str, str]:
    """Return what the front door is told: of our settings only its own, and nothing of Temporal's."""
    known = {
        name: value
        for name, value in given.items()
        if name.startswith(_SITE) or not name.startswith((PREFIX, "TEMPORAL_"))
    }
    usual = {
        "PROGRAMS": str(PROGRAMS if shop is None else _sending_to(shop, data)),
        "API_URL": api,
        "TOKEN": token,
        "SECRET": secret(data, "site-secret"),
        "LINK_SECRETS": f'["{secret(data, "site-links")}"]',
        "DATA": str(data / "site"),
        "HOST": HOST,
        "PORT": str(port),
        "MAIL_FOLDER": str(data / "mail"),
    }
    return {**{_SITE + name: value for name, value in usual.items()}, **known}


def link(data: Path, port: int, program: str = _TRIED[0], customer: str = _TRIED[1]) -> str:
    """Return a signed link to try it out with, as the company's own system makes it."""
    made = Link(program, customer, expiring(datetime.now(UTC), _LINK_LASTS))
    return f"http://{HOST}:{port}/enrol?{made.query(bytes.fromhex(secret(data, 'site-links')))}"


async def ready_page(data: Path, port: int) -> str | None:
    """Have the example's referrer take part, as they would by hand, and return the link to their own page; None if the
    front door does not take it."""
    program, customer, name = _READY
    address = link(data, port, program, customer)
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as browser:
        try:
            page = await browser.get(address)
            if not page.url.path.endswith("/me"):
                form = hidden_fields(page.text)
                page = await browser.post(
                    page.url.copy_with(query=None), data={**form, "first_name": name, "agreed": "true"}
                )
        except httpx.HTTPError:
            return None
    return address if page.is_success and page.url.path.endswith("/me") else None


def hidden_fields(page: str) -> dict[str, str]:
    """Return what the forms of a page send along."""
    return {name: unescape(value) for name, value in _HIDDEN.findall(page)}


def _sending_to(shop: str, data: Path) -> Path:
    """Write the file of the programs with the shop that friends go on to, and return its path."""
    document = yaml.safe_load(PROGRAMS.read_text(encoding="utf-8"))
    for shown in document["programs"].values():
        shown |= {"shop_url": shop, "logo": str(PROGRAMS.parent / shown["logo"])}
    path = data / "site.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path
