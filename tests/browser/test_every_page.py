"""Every page of the desk, looked at as people differ: by an accessibility checker, in light and dark, on a phone."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.domain.programs.terms import Role
from tests import money
from tests.browser.conftest import Office
from tests.desk import life_of

#: Each page, and who looks at it; nobody is signed in where that is empty.
PAGES: Final[Mapping[str, str]] = {
    "/sign-in": "",
    "/queue": "paula",
    "/queue?flag=self_referral&sort=newest": "paula",
    "/claims/r1": "paula",
    "/claims/own": "fiona",
    "/claims/nobody": "paula",
    "/referrals": "oscar",
    "/referrals/r1": "oscar",
    "/referrals/expired": "oscar",
    "/claims/approved": "fiona",
    "/payouts": "fiona",
    f"/payouts/{payout_id('approved', 'referee')}": "fiona",
    f"/payouts/{payout_id('approved', 'referrer')}": "oscar",
    "/clawbacks": "fiona",
    f"/clawbacks/{money.CASE}": "fiona",
    "/cycles": "fiona",
    f"/cycles/{money.CYCLE}": "fiona",
    "/programs": "oscar",
    "/programs/acme-friends": "oscar",
    "/programs/acme-friends/1": "oscar",
    "/programs/acme-friends/compare?from=1&to=1": "oscar",
    "/ledger": "fiona",
    "/reconciliations": "fiona",
    "/payees": "fiona",
    "/payees/dexter": "fiona",
    "/audit": "oscar",
    "/account": "paula",
    "/people": "ada",
    "/docs": "",
}
#: What a page may weigh with everything that it refers to, before compression.
PAGE_BYTES_MAX: Final = 200_000


@pytest.fixture
async def furnished(office: Office) -> Office:
    """A desk with a claim that is clear, one that is flagged, one that is approved and being paid,
    and a referral that expired."""
    desk = office.desk
    await desk.referral("r1")
    await desk.referral("own", email="dexter@example.com")
    await desk.referral("approved")
    await desk.decide("approved", "approve")
    assert await desk.judge("approved") == "approved"
    await money.stand(desk, "approved")
    await desk.tell(life_of("expired")[:1])
    assert await desk.judge("expired") == "expired"
    return office


@pytest.mark.timeout(600)
async def test_every_page_serves_everybody(furnished: Office) -> None:
    """In one walk, as to open a page takes longer than to look at it."""
    found: dict[str, list[str]] = {}
    async for path, page in _visited(furnished):
        loaded = await page.evaluate(_LOADED)
        # In the dark only the colours are others.
        problems = [
            *(f"asks {each['name']}" for each in loaded if not each["name"].startswith(furnished.url)),
            *_heavy(sum(each["bytes"] for each in loaded)),
            *await _inaccessible(page, "light"),
            *await _inaccessible(page, "dark", runOnly=["color-contrast"]),
            *await _wide(page),
        ]
        if problems:
            found[path] = problems
    assert found == {}


async def test_the_menu_is_one_line_on_a_laptop_for_whoever_sees_all_of_it(office: Office) -> None:
    await office.desk.add_user("maximiliana", *Role)
    page = await office.sign_in("maximiliana", viewport={"width": 1280, "height": 800})
    assert await page.evaluate(_LINES) == 1


#: In how many lines the menu, and what stands beside it, begins: the middles of all that can be pressed there.
_LINES: Final = """new Set([...document.querySelectorAll(".top a, .top button")].map((each) => {
    const box = each.getBoundingClientRect();
    return Math.round((box.top + box.bottom) / 20);
})).size"""


def _heavy(weight: int) -> list[str]:
    return [f"weighs {weight} bytes"] if weight > PAGE_BYTES_MAX else []


async def _inaccessible(page: Page, scheme: Literal["light", "dark"], **options: Any) -> list[str]:
    """What an accessibility checker finds in that scheme."""
    await page.emulate_media(color_scheme=scheme)
    results = await Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [f"{scheme}: {_told(violation)}" for violation in results.response["violations"]]


async def _wide(page: Page) -> list[str]:
    """Whether it is wider than a phone is."""
    before = page.viewport_size
    await page.set_viewport_size({"width": 360, "height": 740})
    over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if before is not None:
        await page.set_viewport_size(before)
    return [f"{over} px wider than a phone"] if over > 0 else []


#: The page and everything that it had the browser load, before compression.
_LOADED: Final = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map((entry) => ({name: entry.name, bytes: entry.decodedBodySize}))"""


async def _visited(office: Office) -> AsyncIterator[tuple[str, Page]]:
    """Each page as it stands open."""
    windows: dict[str, Page] = {}
    for path, user in PAGES.items():
        if user not in windows:
            windows[user] = await (office.sign_in(user) if user else office.window())
        await windows[user].goto(path)
        yield path, windows[user]


def _told(violation: Mapping[str, Any]) -> str:
    where = "; ".join(str(node["html"])[:120] for node in violation["nodes"][:3])
    return f"{violation['id']}: {violation['help']} ({where})"
