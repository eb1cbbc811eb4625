"""Measurement events by cursor: each once, in the order of commits, the same when asked again (SPEC §8)."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text

from models.migrate import upgrade
from tests.desk import Desk, days_ago, event
from tests.money import stand


async def _all(desk: Desk, limit: int = 500, after: str = "") -> list[dict[str, Any]]:
    """Every event from a cursor on, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await desk.get(f"/v1/measurements?after={after}&limit={limit}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["events"]
        if page["next"] == after:
            return found
        after = page["next"]


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [each["type"].removeprefix("referral_rewards.").removesuffix(".v1") for each in events]


async def _paid(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    await stand(desk, "r1")


async def test_a_life_is_told_in_the_order_of_its_commits(desk: Desk) -> None:
    await _paid(desk)
    await desk.tell([event("s1", "satisfaction.rated", days_ago(1), {"referral": "r1", "by": "referrer", "score": 5})])

    events = await _all(desk)

    assert _types(events) == [
        *("claim.created", "claim.decided", "claim.approved", "payout.planned", "payout.planned"),
        "satisfaction.rated",
    ]
    created = events[0]
    assert created["subject"] == "r1"
    assert created["data"]["referrer"] == "dexter"
    assert [reward["amount_minor"] for reward in created["data"]["rewards"]] == [2500, 800]
    assert events[1]["data"]["by"] == "paula"
    assert events[-1]["data"] == {"program": "acme-friends", "referral": "r1", "score": 5, "by": "referrer"}


async def test_pages_of_any_length_tell_the_same(desk: Desk) -> None:
    await _paid(desk)

    whole = await _all(desk)

    assert len({each["id"] for each in whole}) == len(whole)
    assert await _all(desk, limit=1) == whole
    assert await _all(desk) == whole
    lines = (await desk.get("/v1/measurements?format=jsonl")).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [each["id"] for each in whole]


async def test_a_claim_is_told_as_flagged_once_for_each_flag(desk: Desk) -> None:
    await desk.referral("r1")
    refund = {"order": "o-r1", "kind": "refund", "amount": "30.00"}
    await desk.tell([event("back", "conversion.reversed", days_ago(20), refund)])
    await desk.judge("r1")
    refund = {"order": "o-r1", "kind": "refund", "amount": "10.00"}
    await desk.tell([event("back2", "conversion.reversed", days_ago(19), refund)])
    await desk.judge("r1")

    flagged = [each for each in await _all(desk) if each["type"].endswith("claim.flagged.v1")]

    assert [each["data"]["flags"] for each in flagged] == [["partial_refund"]]


async def test_nothing_is_lost_that_commits_late(desk: Desk) -> None:
    """A transaction that began first and commits last holds back what came after it."""
    await desk.referral("r1")
    seen = await desk.get("/v1/measurements")
    cursor = seen.json()["next"]
    step = text(
        "INSERT INTO referral_step (referral_id, at, status, reason, facts_version)"
        " VALUES (:name, now(), 'expired', 'no_conversion', 1)"
    )
    async with desk.database.transaction() as slow:
        await slow.execute(step, {"name": "slow"})
        async with desk.database.transaction() as quick:
            await quick.execute(step, {"name": "quick"})
        assert await _all(desk, after=cursor) == []

    assert [each["subject"] for each in await _all(desk, after=cursor)] == ["slow", "quick"]


async def test_a_register_that_was_restored_elsewhere_carries_on(desk: Desk) -> None:
    """Its rows have higher numbers than the transactions of the server that it is on now."""
    await desk.referral("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE referral_step DISABLE TRIGGER referral_step_append_only"))
        await connection.execute(text("UPDATE referral_step SET position = position + 1000000000"))
        await connection.execute(text("ALTER TABLE referral_step ENABLE TRIGGER referral_step_append_only"))
    refused = await desk.get("/v1/measurements")
    assert (refused.status_code, "referrals db upgrade" in refused.text) == (409, True)

    await asyncio.to_thread(upgrade, _url(desk))
    before = await _all(desk)
    await desk.referral("r2")

    events = await _all(desk)
    assert events[: len(before)] == before
    assert _types(events[len(before) :]) == ["claim.created"]


@pytest.mark.parametrize("cursor", ["soon", "1.9.x", "1.2"])
async def test_a_cursor_that_is_none_is_refused(desk: Desk, cursor: str) -> None:
    answer = await desk.get(f"/v1/measurements?after={cursor}")

    assert (answer.status_code, answer.json()["problems"][0]["where"]) == (422, "after")


def _url(desk: Desk) -> str:
    return desk.database._engine.url.render_as_string(hide_password=False)
