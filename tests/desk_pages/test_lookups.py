"""The referral and program pages: where is my reward, and by which terms?"""

import re
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.desk import Desk, days_ago, event, life_of
from tests.desk_pages.forms import text_of


async def test_support_reads_where_a_reward_is(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("ada") as browser:
        said = text_of(await browser.get("/referrals/r1"))
    assert "The reward is waiting for approval." in said
    for part in (
        "order o-r1",
        "25.00 USD account credit to dexter (referrer)",
        "acme-friends, version 1",
        "Invitation sent",
    ):
        assert part in said


async def test_a_request_that_is_part_of_another_referral_leads_there(desk: Desk) -> None:
    about = {"program": "acme-friends", "referrer": "dexter", "referee": {"customer": "c-r1"}, "order": "o-r1"}
    await desk.tell([*life_of("r1"), event("by-hand", "reward.requested", days_ago(30), about)])
    async with desk.database.transaction() as connection:
        merged = text("SELECT id FROM referral WHERE merged_into = 'r1'")
        request = str((await connection.execute(merged)).scalar_one())
    shown = (await desk.get(f"/v1/referrals/{request}")).json()
    assert (shown["merged_into"], shown["status"], shown["reason"]) == ("r1", None, None)
    async with desk.browser("ada") as browser:
        said = text_of(await browser.get(f"/referrals/{request}"))
    assert "This request belongs to referral r1 and is evidence there." in said
    assert "Next deadline" in said


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["r1", "r2", "s1"]),
        ("?q=r", ["r1", "r2"]),
        ("?q=dexter", ["r1", "r2", "s1"]),
        ("?q=c-r1", ["r1"]),
        ("?q=o-s1", ["s1"]),
        ("?q=%20r1%20", ["r1"]),
        ("?q=dex", []),
        ("?q=R1", []),
        ("?q=%25", []),
        ("?q=%00", ["r1", "r2", "s1"]),
        ("?q=dexter&status=awaiting_approval", ["r1", "r2", "s1"]),
        ("?q=dexter&status=denied", []),
        ("?q=r&program=acme-friends", ["r1", "r2"]),
        ("?q=r&program=other", []),
        ("?after=r1", ["r2", "s1"]),
        ("?q=';--", []),
    ],
)
async def test_referrals_are_found_by_what_people_know(desk: Desk, query: str, found: list[str]) -> None:
    for name in ("r1", "r2", "s1"):
        await desk.referral(name)
    async with desk.browser("paula") as browser:
        answer = await browser.get(f"/referrals{query}")
    assert answer.status_code == 200, answer.text
    assert re.findall(r'<a href="/referrals/([^"]+)">', answer.text) == found


async def test_more_than_a_page_goes_on_where_it_ended(desk: Desk) -> None:
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
        for n in range(120)
    ]
    await desk.tell(sent)
    seen: list[str] = []
    path: str | None = "/referrals?q=dexter"
    async with desk.browser("paula") as browser:
        while path is not None:
            answer = await browser.get(path)
            seen += re.findall(r'<a href="/referrals/([^"]+)">', answer.text)
            following = re.search(r'rel="next"[^>]* href="([^"]+)"', answer.text)
            path = following[1].replace("&amp;", "&") if following else None
    assert seen == [f"p{n:03}" for n in range(120)]


@pytest.mark.parametrize(
    "path",
    [
        "/referrals/nobody",
        "/referrals/%00",
        "/programs/nope",
        "/programs/%00",
        "/programs/acme-friends/9",
        "/programs/nope/1",
        "/programs/acme-friends/compare?from=1&to=9",
    ],
)
async def test_what_there_is_not_is_not_found(desk: Desk, path: str) -> None:
    async with desk.browser("paula") as browser:
        assert (await browser.get(path)).status_code == 404


async def test_a_version_of_a_program_is_told_in_words(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        said = text_of(await browser.get("/programs/acme-friends/1"))
    for line in (
        "Invitation by email can be claimed for 30 days",
        "A purchase can be returned for 14 days",
        "Minimum amount 50.00 USD",
        "25.00 USD from the first reward; 40.00 USD after 5 approved rewards; account credit",
        "15 % of the net amount, at most 300.00 USD, from 2026-01-01 until 2027-01-01 (exclusive)",
        "20 rewards and 1000.00 USD within 1 year",
        "Escalation after 5 days, to operations",
    ):
        assert line in said


PATHS = (
    "/claims/r1",
    "/referrals/r1",
    "/referrals",
    "/referrals?q=c-r1",
    "/programs",
    "/programs/acme-friends",
    "/programs/acme-friends/1",
)


async def test_no_page_shows_anybodys_address_or_phone(desk: Desk) -> None:
    who: dict[str, Any] = {"phone": "+14165550123", "device": "d-1"}
    await desk.tell(
        event("to-brie@example.com", "customer.issue_opened", days_ago(5), {"customer": {"customer": "c-r1"}})
    )
    await desk.referral("r1", **who)
    async with desk.browser("paula") as browser:
        for path in PATHS:
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            for private in ("@example.com", "4165550123", "416-555"):
                assert private not in answer.text, (path, private)


async def test_pages_are_light_and_ask_for_nothing_elsewhere(desk: Desk) -> None:
    await desk.referral("r1", email="dexter@example.com")
    async with desk.browser("paula") as browser:
        for path in PATHS:
            answer = await browser.get(path)
            assert len(answer.content) < 100_000, path
            assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text), path
            assert not re.search(r'\sstyle="|\son[a-z]+="|<style', answer.text), path
        for name, most in (("desk.css", 20_000), ("desk.js", 10_000)):
            assert len((await browser.get(f"/static/{name}")).content) < most, name


@pytest.mark.parametrize("user", ["nobody"])
async def test_somebody_without_a_role_reads_nothing(desk: Desk, user: str) -> None:
    await desk.add_user(user)
    await desk.referral("r1")
    async with desk.browser(user) as browser:
        for path in PATHS:
            assert (await browser.get(path)).status_code == 403, path


@pytest.mark.parametrize("role", Role)
async def test_every_role_reads_every_page(desk: Desk, role: Role) -> None:
    await desk.add_user("reader", role)
    assert await desk.referral("r1") is ReferralStatus.AWAITING_APPROVAL
    async with desk.browser("reader") as browser:
        for path in PATHS:
            assert (await browser.get(path)).status_code == 200, path
