"""The forms of a page, as a browser without scripts would fill them in and send them."""

import re
from html import unescape
from typing import Any

import httpx

from tests.desk import Browser

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def hidden(html: str) -> dict[str, str]:
    """The hidden fields of the page's decision form."""
    form = html[html.rindex('<form method="post" action="/claims/') :]
    return {name: unescape(value) for name, value in _HIDDEN.findall(form) if name != "csrf"}


async def fill(browser: Browser, referral: str, **given: Any) -> dict[str, Any]:
    """The claim page's form as a person fills it in: shown now, to be sent whenever."""
    shown = await browser.get(f"/claims/{referral}")
    assert shown.status_code == 200, shown.text
    return {**hidden(shown.text), "kind": "approve", "reason": "terms_met", "note": "I looked at it", **given}


async def review(browser: Browser, referral: str, form: dict[str, Any]) -> httpx.Response:
    return await browser.send(f"/claims/{referral}", **form, step="review")


async def record(browser: Browser, referral: str, form: dict[str, Any]) -> httpx.Response:
    return await browser.send(f"/claims/{referral}", **form, step="record")


def text_of(response: httpx.Response) -> str:
    """What a person reads, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())
