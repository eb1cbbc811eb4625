"""The page of a pilot: it is started and ended in two steps, and says in plain words what it came to."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from referral_rewards.register.people import users
from tests.desk import Browser, Desk
from tests.register.cycling import in_cycles

PATH = "/pilots/acme-friends"
PLAN = {"owner": "paula", "kind": "start_pilot", "reason": "new_program", "note": "Before all are invited."}


@pytest.fixture
async def monthly(desk: Desk) -> Desk:
    """A desk whose program pays in cycles."""
    await desk.publish(in_cycles())
    return desk


async def send(browser: Browser, **fields: Any) -> Any:
    shown = (await browser.get(PATH)).text
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', shown)
    assert digest is not None, shown
    return await browser.send(PATH, **{"digest": digest[1], **fields})


async def test_a_pilot_is_started_and_ended_on_its_page(monthly: Desk) -> None:
    async with monthly.browser("paula") as paula:
        assert "This program had no pilot yet" in (await paula.get(PATH)).text
        review = await send(paula, **PLAN, first="20", step="review")
        assert (review.status_code, "The first 20 claims" in review.text) == (200, True)
        again = await send(paula, **PLAN, first="20", step="edit")
        assert 'value="20"' in again.text
        done = await send(paula, **PLAN, first="20", step="record")
        assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?recorded=1")
        shown = (await paula.get(PATH)).text
        for said in ("What was promised", "The first 20 claims", "The pilot still runs.", "Nobody signed it yet"):
            assert said in shown, said
        assert "As measured" not in shown
        early = {"kind": "end_pilot", "reason": "something_wrong", "note": "A code leaked."}
        review = await send(paula, **early, step="review")
        assert "<strong>No go</strong>" in review.text
        assert (await send(paula, **early, step="record")).status_code == 303
        ended = (await paula.get(f"{PATH}/1")).text
        assert "signed by paula" in ended
        assert "A code leaked." in ended
    async with monthly.browser("fiona") as fiona:
        logged = (await fiona.get("/audit?subject=acme-friends")).text
    assert '<span class="muted">verdict</span> no go' in logged
    assert "no_go" not in logged


async def test_a_program_that_is_not_ready_says_each_gap_on_the_page(monthly: Desk) -> None:
    async with monthly.database.transaction() as connection:
        await users.bar(connection, "fiona", at=datetime.now(UTC))
    async with monthly.browser("paula") as paula:
        shown = await paula.get(PATH)
        refused = await paula.send(PATH, **PLAN, digest="", step="review")
    assert "The program is not ready for a pilot." in shown.text
    assert 'name="owner"' not in shown.text
    assert refused.status_code == 409
    assert "the program is not ready" in refused.text
    assert "nobody who can sign in has the role finance" in refused.text


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"first": "some"}, "Enter a number of claims."),
        ({"lasts": "soon"}, "soon"),
        ({"owner": ""}, "Name the user who owns the pilot."),
        ({"owner": "nobody"}, "is no user who can sign in"),
        ({"referrals": "r9"}, "has no referral"),
        ({"note": ""}, "note"),
    ],
)
async def test_a_field_that_is_wrong_is_told_at_its_place(monthly: Desk, typed: dict[str, str], says: str) -> None:
    async with monthly.browser("paula") as paula:
        answer = await send(paula, **{**PLAN, **typed}, step="review")
    assert answer.status_code == 422
    assert says in answer.text


async def test_whoever_may_not_decide_reads_the_page(monthly: Desk) -> None:
    async with monthly.browser("oscar") as oscar:
        shown = await oscar.get(PATH)
        assert "you need the role program owner" in shown.text
        refused = await oscar.send(PATH, **PLAN, digest="", step="record")
        assert refused.status_code == 403
        assert (await oscar.get(f"{PATH}/1")).status_code == 404
        assert (await oscar.get("/pilots/none")).status_code == 404
