"""The program pages: versions, what they say, and what a newer one changed."""

import re
from datetime import UTC, datetime

import pytest

from referral_rewards.register.people import users
from tests.desk import PROGRAM, Desk

SHOP = PROGRAM.replace("conversions: register", "conversions: shop")
NEWER = PROGRAM.replace("2025-01-01T00:00:00Z", "2030-01-01T00:00:00Z").replace('percent: "10"', 'percent: "12"')


async def test_a_program_is_listed_with_the_version_in_force(desk: Desk) -> None:
    async with desk.browser("ada") as browser:
        await desk.publish(NEWER)
        listed = await browser.get("/programs")
        shown = await browser.get("/programs/acme-friends")
    assert listed.status_code == shown.status_code == 200
    assert "version 1</span>" in listed.text
    assert "version 2" in shown.text
    assert "1 Jan 2030" not in listed.text


async def test_a_version_shows_its_values_and_its_text_as_published(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        shown = await browser.get("/programs/acme-friends/1")
    assert "tiers.1.amount" in shown.text
    assert "# The example program" in shown.text
    assert "nothing is unclear" not in shown.text


async def test_two_versions_are_compared_path_by_path_and_line_by_line(desk: Desk) -> None:
    await desk.publish(NEWER)
    async with desk.browser("paula") as browser:
        compared = await browser.get("/programs/acme-friends/compare?from=1&to=2")
        same = await browser.get("/programs/acme-friends/compare?from=1&to=1")
    assert "<del>10</del>" in compared.text
    assert "<ins>12</ins>" in compared.text
    assert "No values differ." in same.text


async def test_a_program_says_what_it_lacks(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        await users.bar(connection, "paula", at=datetime.now(UTC))
    async with desk.browser("oscar") as browser:
        shown = await browser.get("/programs/acme-friends")
    assert "Not ready" in shown.text
    assert "program owner" in shown.text
    assert "program_owner" not in shown.text.split("As published")[0]


async def test_the_preflight_says_each_area_and_asks_the_sources(desk: Desk) -> None:
    async with desk.browser("oscar") as browser:
        ready = await browser.get("/programs/acme-friends/preflight")
        await desk.publish(SHOP)
        async with desk.database.transaction() as connection:
            await users.bar(connection, "fiona", at=datetime.now(UTC))
        gaps = await browser.get("/programs/acme-friends/preflight")
        none = await browser.get("/programs/none/preflight")
    assert ready.status_code == gaps.status_code == 200
    assert "not ready" not in ready.text
    assert "Conversions: register" in ready.text
    for said in ("not ready", "shop is not connected", "needed for an override"):
        assert said in gaps.text, said
    assert none.status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/programs/none", 404),
        ("/programs/acme-friends/7", 404),
        ("/programs/acme-friends/seven", 422),
        ("/programs/acme-friends/compare?from=1&to=9", 404),
        ("/programs/acme-friends/compare?from=1", 422),
        ("/programs/acme-friends/compare?from=1&to=99999999999999999999", 404),
    ],
)
async def test_what_is_not_there_is_told_on_a_page(desk: Desk, path: str, status: int) -> None:
    async with desk.browser("paula") as browser:
        answer = await browser.get(path)
    assert answer.status_code == status
    assert "<h1>" in answer.text


async def test_without_a_role_nothing_is_shown(desk: Desk) -> None:
    async with desk.browser("site") as browser:
        assert (await browser.get("/programs")).status_code == 403


async def test_a_program_is_paused_on_its_page_in_two_steps_and_says_so(desk: Desk) -> None:
    async with desk.browser("paula") as paula:
        shown = await paula.get("/programs/acme-friends")
        assert "Pause the program" in shown.text
        digest = re.search(r'name="digest" value="([0-9a-f]{64})"', shown.text)
        assert digest is not None
        fields = {"kind": "pause_program", "reason": "fraud", "note": "A code leaked.", "digest": digest[1]}
        review = await paula.send("/programs/acme-friends", **fields, step="review")
        assert (review.status_code, "Nothing is approved" in review.text) == (200, True)
        done = await paula.send("/programs/acme-friends", **fields, step="record")
        assert (done.status_code, done.headers["location"]) == (303, "/programs/acme-friends?recorded=1")
        again = await paula.get("/programs/acme-friends")
        assert "A code leaked." in again.text
        assert "Paused" in again.text
        assert "paused" in (await paula.get("/programs")).text
    async with desk.browser("oscar") as oscar:
        shown = await oscar.get("/programs/acme-friends")
        assert "There is nothing for you to decide here now." in shown.text


async def test_a_time_on_the_page_is_one_of_the_programs_clocks(desk: Desk) -> None:
    async with desk.browser("paula") as paula:
        shown = await paula.get("/programs/acme-friends")
        digest = re.search(r'name="digest" value="([0-9a-f]{64})"', shown.text)
        assert digest is not None
        fields = {"kind": "end_program", "reason": "campaign_over", "note": "Over.", "digest": digest[1]}
        for written, status in (("2020-01-01T00:00", 422), ("soon", 422)):
            answer = await paula.send("/programs/acme-friends", **fields, at=written, step="review")
            assert answer.status_code == status, answer.text
        year = datetime.now(UTC).year + 1
        review = await paula.send("/programs/acme-friends", **fields, at=f"{year}-07-01T18:00", step="review")
        assert f"{year}-07-01T22:00:00Z" in review.text
