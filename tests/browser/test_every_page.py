"""Every page of the desk, looked at as people differ: by an accessibility checker, in light and dark, on a phone."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from referral_rewards.domain.programs.terms import Role
from tests.browser.conftest import Office
from tests.desk import PROGRAM, account, another_account, days_ago, event, life_of
from tests.desk_pages.pages import PAGES, furnish
from tests.seeds import partly

#: What a page may weigh with everything that it refers to, before compression.
PAGE_BYTES_MAX: Final = 200_000
#: Of the page that lists every address of the API, for those who connect systems to it.
DOCS_BYTES_MAX: Final = 250_000
_AXE: Final = Axe().axe_script


@pytest.fixture
async def furnished(office: Office) -> Office:
    """A desk on which every page has something to show."""
    await furnish(office.desk)
    return office


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every", partly((1, 4), suite=(4,)))
async def test_every_page_serves_everybody(furnished: Office, every: int) -> None:
    """In one walk, as to open a page takes longer than to look at it."""
    found: dict[str, list[str]] = {}
    async for path, page in _visited(furnished, every):
        loaded = await page.evaluate(_LOADED)
        # In the dark only the colours are others.
        problems = [
            *(f"asks {each['name']}" for each in loaded if not each["name"].startswith(furnished.url)),
            *_heavy(sum(each["bytes"] for each in loaded), DOCS_BYTES_MAX if path == "/docs" else PAGE_BYTES_MAX),
            *await inaccessible(page, "light"),
            *await inaccessible(page, "dark", runOnly=["color-contrast"]),
            *await wide(page),
        ]
        if problems:
            found[path] = problems
    assert found == {}


async def test_a_look_at_a_payee_and_paying_one_who_leaves_serve_everybody(office: Office) -> None:
    """A button asks for the one, and a program with cycles for the other: no address alone leads there."""
    desk = office.desk
    await desk.tell([account("dexter"), another_account("dexter")])
    await desk.publish(PROGRAM.replace("program: acme-friends", "program: cycles").replace("timing: immediate", CYCLE))
    facts = life_of("c1")
    facts[0]["data"]["program"] = "cycles"
    about = {"referrer": "dexter", "program": "cycles", "customer": "c-dexter", "email": "dexter@example.com"}
    await desk.tell([event("e-cycles", "referrer.enrolled", days_ago(300), about), *facts])
    await desk.judge("c1")
    assert (await desk.decide("c1", "approve")).status_code == 201
    await desk.judge("c1")
    page = await office.sign_in("fiona")
    await page.goto("/payees/dexter")
    await page.get_by_label("Why you look").select_option("audit")
    await page.get_by_role("button", name="Show name and destinations in clear").click()
    await expect(page.get_by_role("heading", name="dexter in clear")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("DE02 1203 0000 0000 2020 51")
    assert await _problems(page) == []
    await page.goto("/payees/dexter")
    await page.get_by_role("link", name="pay what cycles owes below its minimum").click()
    await page.get_by_label("Reason").select_option("payee_leaves")
    await page.get_by_label("Note").fill("closed the account")
    assert await _problems(page) == []
    await page.get_by_role("button", name="Review the decision").click()
    assert await _problems(page) == []
    await page.get_by_role("button", name="Record").click()
    await expect(page.locator("main")).to_contain_text("Recorded as decision")


async def test_a_person_who_was_found_is_shown_to_everybody_and_in_no_address(office: Office) -> None:
    await office.desk.referral("r1", first_name="Brie Larsen")
    page = await office.sign_in("ada")
    await page.goto("/persons")
    await page.get_by_label("Email address").fill("r1@example.com")
    await page.get_by_role("button", name="Find").click()
    await expect(page.get_by_role("heading", name="What is kept of this person")).to_be_visible()
    assert page.url == f"{office.url}/persons/find"
    assert await _problems(page) == []
    await page.get_by_label("I am sure").check()
    await page.get_by_role("button", name="Erase").click()
    await expect(page.locator("main")).to_contain_text("Referral r1 is awaiting approval")


CYCLE: Final = 'timing: {cycle: monthly, day: 28, minimum: "500.00"}'


async def _problems(page: Page) -> list[str]:
    return [
        *await inaccessible(page, "light"),
        *await inaccessible(page, "dark", runOnly=["color-contrast"]),
        *await wide(page),
    ]


async def test_paper_is_white_and_holds_nothing_to_press_whatever_the_screen_was(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula", color_scheme="dark")
    for path in ("/queue", "/claims/r1", "/referrals/r1"):
        await page.goto(path)
        assert await page.evaluate(_SEEN) == {"dark": True, "pressed": True}
        await page.emulate_media(media="print", color_scheme="dark")
        assert await page.evaluate(_SEEN) == {"dark": False, "pressed": False}, path
        await page.emulate_media(media="screen", color_scheme="dark")


async def test_a_sheet_of_paper_shows_tables_as_a_desk_does(office: Office) -> None:
    """A4 between its margins is as narrow as a phone's layout begins, and is read like a screen."""
    await office.desk.referral("r1")
    page = await office.sign_in("fiona", viewport={"width": 718, "height": 1000})
    await page.emulate_media(media="print")
    for path in (
        "/referrals",
        "/queue",
        "/audit",
        "/reports/program/acme-friends?every=true",
        "/reports/audit/acme-friends",
    ):
        await page.goto(path)
        assert await page.evaluate(_HEADS) == ["table-header-group"], path
        assert await page.evaluate("document.documentElement.scrollWidth") <= 718, path
        assert await page.evaluate(_EMPTY_CARDS) == 0, path


#: How many cards hold nothing that is seen.
_EMPTY_CARDS: Final = """[...document.querySelectorAll(".card")].filter((each) => each.checkVisibility() &&
    ![...each.querySelectorAll("*")].some((its) => its.checkVisibility())).length"""
#: How the heads of the tables are laid out.
_HEADS: Final = """[...new Set([...document.querySelectorAll("main thead")].filter((each) => each.checkVisibility())
    .map((each) => getComputedStyle(each)).map((each) => each.position === "static" ? each.display : each.position))]"""


#: Whether anything but white lies under the text or anything but a grey or black one on it, and whether there is
#: anything to press.
_SEEN: Final = """(() => {
    const shown = [...document.querySelectorAll("body, body *")].filter((each) => each.checkVisibility());
    const light = (colour) => (colour.match(/[\\d.]+/g) ?? []).slice(0, 3).every((part) => Number(part) >= 250);
    const none = (colour) => colour === "rgba(0, 0, 0, 0)";
    return {
        dark: shown.some((each) => {
            const style = getComputedStyle(each);
            return !(none(style.backgroundColor) || light(style.backgroundColor));
        }),
        pressed: shown.some((each) => each.matches("nav, button, .button, select, textarea, input:not([type=hidden])")),
    };
})()"""


async def test_lists_tell_times_where_the_browser_is_and_pages_of_a_program_where_that_is(office: Office) -> None:
    await office.desk.referral("r1")
    page = await office.sign_in("paula", timezone_id="Asia/Tokyo")
    await expect(page.locator(".zone")).to_contain_text("your time zone, Asia/Tokyo")
    await page.goto("/claims/r1")
    await expect(page.locator(".zone")).to_contain_text("the program’s time zone, America/Toronto")


async def test_the_menu_is_one_line_on_a_laptop_for_whoever_sees_all_of_it(office: Office) -> None:
    await office.desk.add_user("maximiliana", *Role)
    page = await office.sign_in("maximiliana", viewport={"width": 1280, "height": 800})
    assert await page.evaluate(_LINES) == 1


#: In how many lines the menu, and what stands beside it, begins: the middles of all that can be pressed there.
_LINES: Final = """new Set([...document.querySelectorAll(".top a, .top button")].map((each) => {
    const box = each.getBoundingClientRect();
    return Math.round((box.top + box.bottom) / 20);
})).size"""


def _heavy(weight: int, most: int) -> list[str]:
    return [f"weighs {weight} bytes"] if weight > most else []


async def inaccessible(page: Page, scheme: Literal["light", "dark"], **options: Any) -> list[str]:
    """What an accessibility checker finds in that scheme."""
    await page.emulate_media(color_scheme=scheme)
    # Half a megabyte of script: an open page is given it once.
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE)
    results = await page.evaluate("(options) => axe.run(options)", {"resultTypes": ["violations"], **options})
    return [f"{scheme}: {_told(violation)}" for violation in results["violations"]]


async def wide(page: Page) -> list[str]:
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


async def _visited(office: Office, every: int) -> AsyncIterator[tuple[str, Page]]:
    """One of so many pages, each as it stands open."""
    windows: dict[str, Page] = {}
    for path, user in list(PAGES.items())[::every]:
        if user not in windows:
            windows[user] = await (office.sign_in(user) if user else office.window())
        await windows[user].goto(path)
        yield path, windows[user]


def _told(violation: Mapping[str, Any]) -> str:
    where = "; ".join(str(node["html"])[:120] for node in violation["nodes"][:3])
    return f"{violation['id']}: {violation['help']} ({where})"
