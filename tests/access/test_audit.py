"""The record of who did what: what stands in it, and what never does."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.claims import blocklist
from referral_rewards.register.people import users
from tests.desk import Desk, marks
from tests.personal import bodies


async def record(desk: Desk, *acts: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    """What is on record, oldest first: actor, act, subject, details; only of these acts if any are named."""
    async with desk.database.transaction() as connection:
        rows = await connection.execute(text("SELECT actor, act, subject, details FROM audit_event ORDER BY id"))
        return [(row.actor, row.act, row.subject, row.details) for row in rows if not acts or row.act in acts]


async def test_a_decision_is_on_record_once_however_often_it_is_sent(desk: Desk) -> None:
    await desk.referral("a")
    made = (await desk.decide("a", "approve")).json()
    assert (await desk.decide("a", "approve")).json()["repeated"]
    said = {"decision": made["id"], "kind": "approve", "reason": "terms_met"}
    assert await record(desk, "decision.recorded") == [("paula", "decision.recorded", "a", said)]


async def test_a_refused_decision_is_on_record_with_the_rule_that_refused_it(desk: Desk) -> None:
    await desk.add_user("cara", Role.PROGRAM_OWNER, marks=marks(customer="c-a"))
    await desk.referral("a")
    await desk.decide("a", "approve", as_="fiona")
    await desk.decide("a", "approve", as_="cara")
    await desk.decide("a", "approve", digest="0" * 64)
    await desk.decide("nowhere", "approve", digest="0" * 64)
    assert await record(desk, "decision.refused") == [
        ("fiona", "decision.refused", "a", {"kind": "approve", "rule": "role_missing"}),
        ("cara", "decision.refused", "a", {"kind": "approve", "rule": "own_claim"}),
        ("paula", "decision.refused", "a", {"kind": "approve", "rule": "claim_changed"}),
    ]


async def test_publishing_and_blocking_are_on_record(desk: Desk) -> None:
    at = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        await blocklist.add(connection, ["device:1", "device:2"], why="caught", by="ada", at=at)
        await blocklist.add(connection, ["device:2"], why="again", by="ada", at=at)
        await blocklist.remove(connection, ["device:1"], by="oscar", at=at)
    assert await record(desk, "program.published", "blocklist.extended", "blocklist.shortened") == [
        ("tester", "program.published", "acme-friends", {"version": 1}),
        ("ada", "blocklist.extended", "blocklist", {"marks": ["device:1", "device:2"]}),
        ("oscar", "blocklist.shortened", "blocklist", {"marks": ["device:1"]}),
    ]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"]
)
async def test_nothing_on_record_is_changed(desk: Desk, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        async with desk.database.transaction() as connection:
            await connection.execute(text(statement))


async def test_a_contact_is_personal_data_and_the_one_before_is_erased(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        assert await users.contact(connection, "paula") is None
        await users.set_contact(connection, "paula", "paula@example.com")
        await users.set_contact(connection, "paula", "paula@example.org")
        assert await users.contact(connection, "paula") == "paula@example.org"
    assert "paula@example.com" not in [body.get("email") for body in await bodies(desk.database)]
    async with desk.database.transaction() as connection:
        await users.bar(connection, "paula", at=datetime.now(UTC))
        assert await users.contact(connection, "paula") is None, "nobody who was barred is written to"
