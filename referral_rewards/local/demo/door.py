"""The part of the cast that comes through the front door: people who use its pages and forms, over HTTP.

Nora's friend accepts by her link and pays through Stripe. Olek asks for a letter; his friend accepts it, buys at the
shop and gives it back. Pina's friend accepts and buys nothing.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path
from typing import Final

import httpx

from referral_rewards.domain.errors import LocalStackError
from referral_rewards.local.demo.output import Progress
from referral_rewards.local.front_door import hidden_fields
from referral_rewards.local.sandbox.shops.delivery import deliver
from referral_rewards.local.sandbox.shops.sale import Sale
from referral_rewards.local.sandbox.shops.shopify import Shopify
from referral_rewards.local.sandbox.shops.stripe_checkout import StripeCheckout
from referral_rewards.local.sandbox.webhooks import Sign

PROGRAM: Final = "acme-today"
#: A person reads before they send a form; the front door holds up whoever is quicker.
_READING_SECONDS: Final = 2.2
_LOOK_AGAIN_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 60.0
_GOODS: Final = Decimal("80.00")


@dataclass(frozen=True, slots=True)
class Door:
    """Where the front door is, the folder of its letters, and where webhooks go to. ``link`` makes a signed link of a
    customer, as the company's own system does."""

    url: str
    link: Callable[[str], str]
    mail: Path
    api: str
    signs: Mapping[str, Sign]


async def play(door: Door, progress: Progress) -> None:
    """Have everybody come in, and their friends buy."""
    await asyncio.gather(_nora(door), _olek(door), _pina(door))
    progress.say("three customers took part at the front door, and their friends accepted; two have bought")


async def earned(door: Door, customer: str) -> str:
    """Return what a customer's own page says that they earned."""
    async with _browser(door) as browser:
        page = await browser.get(door.link(customer))
    found = re.search(r'id="h-earned".*?</h2>(.*?)</section>', page.text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split()) if found else f"a page without it ({page.status_code})"


async def _nora(door: Door) -> None:
    friend = "friend.door1@example.com"
    await _accept(door, await _take_part(door, "c-nora", "Nora"), friend)
    sale = Sale(7101, datetime.now(UTC), friend, _GOODS)
    await deliver(door.api, StripeCheckout().sell(sale), door.signs)


async def _olek(door: Door) -> None:
    friend = "friend.door2@example.com"
    await _take_part(door, "c-olek", "Olek", invites=friend)
    await _accept(door, await _letter(door, friend), friend)
    shop, at = Shopify(), datetime.now(UTC)
    told = shop.sell(Sale(7102, at, friend, _GOODS))
    await deliver(door.api, told + shop.give_back(7102, 6, _GOODS, Decimal("0.00"), at), door.signs)


async def _pina(door: Door) -> None:
    await _accept(door, await _take_part(door, "c-pina", "Pina"), "friend.door3@example.com")


async def _take_part(door: Door, customer: str, name: str, invites: str | None = None) -> str:
    """Enrol a customer by their signed link, and return the link that they share. ``invites`` is a friend's address."""
    async with _browser(door) as browser:
        form = hidden_fields((await browser.get(door.link(customer))).text)
        own = await browser.post("/enrol", data={**form, "first_name": name, "agreed": "true"})
        if invites is not None:
            await browser.post("/me/invitations", data={**hidden_fields(own.text), "email": invites, "name": ""})
        return _first(r"https?://[^\s\"<]+/r/\w+", own.text)


async def _accept(door: Door, address: str, email: str) -> None:
    """Accept an invitation at the address of its page."""
    async with _browser(door) as browser:
        form = hidden_fields((await browser.get(address)).text)
        await asyncio.sleep(_READING_SECONDS)
        done = await browser.post(address, data={**form, "email": email, "consent": "true"})
    if not done.url.path.endswith("/claimed"):
        raise LocalStackError(f"the front door did not take the claim at {address} ({done.status_code})")


async def _letter(door: Door, to: str) -> str:
    """Wait for the letter to an address, and return the address of the invitation in it."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        for path in door.mail.glob("*.eml"):
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            body = message.get_body(("plain",))
            if to in str(message["To"]) and body is not None:
                return _first(r"https?://\S+/i/[\w-]+", body.get_content())
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise LocalStackError(f"no letter to {to} came within {_PATIENCE_SECONDS:.0f} s")


def _browser(door: Door) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=door.url, follow_redirects=True, trust_env=False, timeout=_PATIENCE_SECONDS)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise LocalStackError(f"the front door shows no {pattern}")
    return found[0]
