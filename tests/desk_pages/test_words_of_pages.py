"""What pages say: no code where words stand, one time zone a page, which rows of how many, and what to do instead."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest

from referral_rewards.api.desk.session.visiting import ZONE_COOKIE
from referral_rewards.domain import calendar
from tests.desk import Browser, Desk, days_ago, event
from tests.desk_pages.forms import text_of
from tests.desk_pages.pages import PAGES, furnish

_NOT_PROSE = re.compile(r"<(code|pre|script|style|svg)\b.*?</\1>", re.DOTALL)
_CODE = re.compile(r"\b[a-z]+_[a-z_]+\b|\b[a-z]+\.[a-z]+_[a-z_]+\b")
_TIME = re.compile(r'<time datetime="([^"]+)" title="([^"]+)">([^<]+)</time>')
_ZONE = re.compile(r"Times are in (?:UTC|(?:your time zone|the program’s time zone), ([\w/]+))\.")
#: A zone beside a time, where the page has said it already.
_STRAY = re.compile(r"\d\d:\d\d(?::\d\d)? ?(?:UTC|Z\b|[A-Z]{3,4}\b|\([A-Z]\w+/\w+\))")


async def _all_pages(desk: Desk, zone: str = "") -> dict[str, str]:
    """The text of each page, as those see it who may, in a browser that is there."""
    await furnish(desk)
    found = {}
    for path, user in PAGES.items():
        if not user:
            answer = await desk.api.get(path, headers={"Accept": "text/html"})
        else:
            async with desk.browser(user) as browser:
                if zone:
                    browser.client.cookies.set(ZONE_COOKIE, zone)
                answer = await browser.get(path)
        assert "<h1>" in answer.text, path
        found[path] = answer.text
    return found


async def test_no_page_shows_a_code_where_words_stand(desk: Desk) -> None:
    found = {}
    for path, html in (await _all_pages(desk)).items():
        if path == "/docs":  # the names of an API are its words
            continue
        prose = unescape(re.sub(r"<[^>]+>", " ", _NOT_PROSE.sub(" ", html)))
        if codes := sorted(set(_CODE.findall(prose))):
            found[path] = codes
    assert found == {}


@pytest.mark.parametrize("zone", ["", "Asia/Tokyo"], ids=["unknown", "of_the_browser"])
async def test_every_page_has_one_zone_and_says_it_once(desk: Desk, zone: str) -> None:
    seen = set()
    for path, html in (await _all_pages(desk, zone)).items():
        times, said = _TIME.findall(html), _ZONE.findall(html)
        assert len(said) == (1 if times else 0), path
        shown = calendar.zone(said[0] or "UTC") if said else UTC
        seen.add(str(shown) if times else "none")
        for exact, hover, text in times:
            at = datetime.fromisoformat(exact)
            assert (text, hover) == (_minute(at.astimezone(shown)), f"{_minute(at.astimezone(UTC))} UTC"), path
        if path != "/docs":
            prose = unescape(re.sub(r"<[^>]+>", " ", _NOT_PROSE.sub(" ", _TIME.sub(" ", html))))
            assert not _STRAY.findall(prose), path
    assert seen == {"none", "America/Toronto", zone or "UTC"}


@pytest.mark.parametrize("named", ["Nowhere/Land", "../../etc/passwd", "%00", "America%2FToronto"])
async def test_what_a_browser_says_of_its_zone_is_believed_only_if_there_is_such_a_zone(desk: Desk, named: str) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        browser.client.cookies.set(ZONE_COOKIE, named)
        said = text_of(await browser.get("/queue"))
    assert ("America/Toronto" in said) == (named == "America%2FToronto")
    assert ("Times are in UTC." in said) == (named != "America%2FToronto")


async def test_a_list_says_which_rows_of_how_many_it_shows(desk: Desk) -> None:
    sent = [
        event(
            f"s{n}",
            "referral.sent",
            days_ago(3),
            {
                "referral": f"p{n:03}",
                "program": "acme-friends",
                "referrer": "dexter",
                "channel": "email",
                "referee": {"customer": f"c-{n}"},
            },
        )
        for n in range(101)
    ]
    await desk.tell(sent)
    async with desk.browser("paula") as browser:
        pages = [page async for page in _through(browser, "/referrals?q=p")]
    assert ["1–50 of 101" in pages[0], "51–100 of 101" in pages[1], "101 of 101" in pages[2]] == [True] * 3
    assert len(pages) == 3


async def test_the_queue_says_which_entries_of_how_many_it_shows(desk: Desk) -> None:
    for number in range(3):
        await desk.referral(f"r{number}")
    async with desk.browser("paula") as browser:
        assert "1–3 of 3, oldest first." in text_of(await browser.get("/queue"))
        first = await browser.get("/queue?limit=2")
        assert "1–2, oldest first." in text_of(first)
        pages = [page async for page in _through(browser, "/queue?limit=2")]
        assert "3 of 3, oldest first." in pages[1]
        assert "1 of 1, oldest first." in text_of(await browser.get("/queue?q=r1&start=nonsense"))


async def _through(browser: Browser, path: str | None):  # type: ignore[no-untyped-def]
    while path is not None:
        answer = await browser.get(path)
        yield text_of(answer)
        following = re.search(r'rel="next"[^>]* href="([^"]+)"', answer.text)
        path = unescape(following[1]) if following else None


@pytest.mark.parametrize(
    ("path", "user", "none_yet", "no_match"),
    [
        ("/payouts", "fiona", "No payouts yet.", "No payouts match these filters."),
        ("/clawbacks", "fiona", "No clawback cases yet.", "No clawback cases match these filters."),
        ("/cycles", "fiona", "No payout cycles yet.", "No payout cycles match these filters."),
        ("/referrals", "paula", "No referrals yet.", "No referrals match these filters."),
        ("/payees", "fiona", "No payees yet.", None),
        ("/ledger", "fiona", "No entries yet.", None),
        ("/queue", "paula", "Nothing is waiting for a person.", "Nothing in the queue matches these filters."),
    ],
)
async def test_an_empty_list_says_whether_there_is_nothing_or_nothing_like_that(
    desk: Desk, path: str, user: str, none_yet: str, no_match: str | None
) -> None:
    async with desk.browser(user) as browser:
        said = text_of(await browser.get(path))
        assert (none_yet in said, (no_match or "match these") in said) == (True, False)
        if no_match is not None:
            filtered = text_of(await browser.get(f"{path}?program=other"))
            assert (none_yet in filtered, no_match in filtered) == (False, True)


@pytest.mark.parametrize(
    ("user", "path", "status", "told", "way"),
    [
        ("fiona", "/people", 403, "Only administrators can manage people.", "/account"),
        ("paula", "/ledger", 403, "To see this you need the role administrator or finance.", "/queue"),
        ("paula", "/nothing/here", 404, "There is nothing at this address.", "/referrals"),
        ("paula", "/claims/nobody", 404, "There is no referral 'nobody'.", "/queue"),
        ("paula", "/programs/none", 404, "There is no program 'none'.", "/programs"),
        ("paula", "/queue?for=me", 422, 'Unknown filter "for". Did you mean "format"? Available: after,', "/queue"),
    ],
)
async def test_whoever_is_signed_in_keeps_the_menu_and_is_told_what_to_do_instead(
    desk: Desk, user: str, path: str, status: int, told: str, way: str
) -> None:
    async with desk.browser(user) as browser:
        answer = await browser.get(path)
    assert answer.status_code == status
    assert told in text_of(answer)
    assert '<nav aria-label="Main">' in answer.text
    assert f'<a class="button plain" href="{way}">' in answer.text


async def test_a_stranger_sees_no_menu_where_nothing_is(desk: Desk) -> None:
    answer = await desk.api.get("/nothing/here", headers={"Accept": "text/html"})
    assert (answer.status_code, "<nav" in answer.text) == (404, False)


async def test_somebody_without_a_role_is_told_whom_to_ask(desk: Desk) -> None:
    await desk.add_user("newcomer")
    async with desk.browser("newcomer") as browser:
        answer = await browser.get("/queue")
    assert answer.status_code == 403
    assert "You have no role yet. Ask an administrator for one." in text_of(answer)


async def test_an_appeal_in_the_queue_is_told_in_its_own_words(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny")
    await desk.judge("r1")
    about = {"referral": "r1", "by": "referrer", "why": "She bought it with my link."}
    await desk.tell(event("appeal-r1", "referral.appealed", days_ago(2), about))
    await desk.judge("r1")
    (entry,) = (await desk.get("/v1/claims?exception=appeal")).json()["claims"]
    assert entry["about"] == "Appeal by the referrer, 2 days ago: “She bought it with my link.”"
    async with desk.browser("paula") as browser:
        assert entry["about"] in text_of(await browser.get("/queue"))


def _minute(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M}"
