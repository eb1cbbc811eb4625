"""Pulling a source, asked for by a person: a worker does it, and the list of sources shows how it goes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.vendors.access import ApiAccess, Pull
from tests.desk import Desk
from tests.vendors.stripe_life import connected

PULLED = replace(
    connected(),
    api=ApiAccess("https://api.stripe.com"),
    pull=Pull(every=timedelta(hours=1), overlap=timedelta(hours=2)),
)


@pytest.fixture
async def heard(desk: Desk) -> Desk:
    """A desk with a source that is pulled."""
    desk.parts = desk.app.state.parts = replace(desk.parts, event_sources={PULLED.name: PULLED})
    return desk


async def _rows(desk: Desk, sql: str) -> list[Any]:
    async with desk.database.transaction() as connection:
        return list(await connection.execute(text(sql)))


async def test_a_pull_is_asked_of_a_worker_and_shown_as_it_goes(heard: Desk) -> None:
    assert (await _shown(heard))["since"] is None
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(days=29)
    for asked in ({}, {"since": since.isoformat()}):
        answer = await _pull(heard, asked)
        assert (answer.status_code, answer.json()["since"] is None) == (202, not asked)
    ((target, kind),) = await _rows(heard, "SELECT DISTINCT target, kind FROM outbox WHERE kind = 'pull_due'")
    assert (target, kind) == ("stripe-orders", "pull_due")
    notes = await _rows(heard, "SELECT actor, details FROM audit_event WHERE act = 'source.pulled' ORDER BY at")
    assert [row.actor for row in notes] == ["ada", "ada"]
    shown = await _shown(heard)
    assert datetime.fromisoformat(shown["since"]) == since
    assert (shown["every_seconds"], shown["overlap_seconds"], shown["under_way"], shown["succeeded_at"]) == (
        *(3600, 7200, False, None),
    )
    told = await heard.metrics()
    assert 'referrals_source_pull_late_seconds{source="stripe-orders"} 0.0' in told
    await _rows(heard, "UPDATE source_cursor SET succeeded_at = now() - interval '3 hours' RETURNING 1")
    late = (await heard.metrics()).partition('referrals_source_pull_late_seconds{source="stripe-orders"} ')[2]
    assert 7200 <= float(late.partition("\n")[0]) < 9000


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"since": "2020-01-01T00:00:00Z"}, "since: is too early: stripe tells its events for 30 days, so ask since "),
        ({"since": "2999-01-01T00:00:00Z"}, "since: lies ahead of our clock"),
        ({"since": "2026-01-01"}, "since: "),
        ({"until": "2026-01-01T00:00:00Z"}, "until: "),
    ],
)
async def test_a_pull_that_cannot_be_is_refused_in_one_line(asked: dict[str, str], says: str, heard: Desk) -> None:
    answer = await _pull(heard, asked)
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert f"{problem['where']}: {problem['what']}".startswith(says)
    assert await _rows(heard, "SELECT 1 FROM source_cursor") == []


async def test_a_source_that_is_not_pulled_says_what_it_lacks(heard: Desk) -> None:
    heard.app.state.parts = replace(heard.parts, event_sources={PULLED.name: replace(PULLED, pull=None)})
    answer = await _pull(heard, {})
    assert answer.status_code == 422
    assert (await heard.get("/v1/sources")).json()["sources"][0]["pull"] is None
    assert "stripe-orders is not pulled; give it an api and a pull" in answer.text


async def _pull(desk: Desk, asked: Mapping[str, Any]) -> httpx.Response:
    return await desk.api.post("/v1/sources/stripe-orders/pull", json=dict(asked), headers=desk.bearer("ada"))


async def _shown(desk: Desk) -> dict[str, Any]:
    (source,) = (await desk.get("/v1/sources")).json()["sources"]
    found: dict[str, Any] = source["pull"]
    return found
