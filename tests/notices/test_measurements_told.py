"""Measurement events to others' systems: in order, each until it is taken, and only to whoever asked for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from referral_rewards.loopback import served
from referral_rewards.notices.webhook import Hook, Webhooks
from referral_rewards.register import outgoing_events
from tests.desk import Desk
from tests.notices.posting import now
from tests.notices.test_webhooks import SECRET, Endpoint
from worker.measurements import Measurements


@asynccontextmanager
async def _telling(desk: Desk, endpoint: Endpoint, *events: str) -> AsyncIterator[Measurements]:
    async with served(endpoint) as url, httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        hooks = {"lake": Hook(f"{url}/hook", events, [SECRET])}
        await desk.database.write(outgoing_events.connect, {"lake": events})
        yield Measurements(desk.database.worker, Webhooks(hooks, client))


async def test_events_are_told_in_order_from_the_time_that_they_were_asked_for(desk: Desk) -> None:
    endpoint = Endpoint(204)
    await desk.referral("before")
    async with _telling(desk, endpoint, "measurement.*") as telling:
        assert await telling.tell(now())
        await desk.referral("r1")
        await desk.decide("r1", "deny")
        await desk.judge("r1")
        await telling.tell(now() + timedelta(minutes=1))

    assert [each["type"].removeprefix("measurement.") for each in endpoint.events] == [
        *("claim.created", "claim.decided", "referral.denied")
    ]
    assert {each["data"]["subject"] for each in endpoint.events} == {"r1"}
    assert endpoint.ids == [each["data"]["id"] for each in endpoint.events]


async def test_an_event_that_is_not_taken_comes_again_before_the_next(desk: Desk) -> None:
    endpoint = Endpoint(503, 204)
    async with _telling(desk, endpoint, "measurement.claim.created") as telling:
        await telling.tell(now())
        await desk.referral("r1")
        await desk.referral("r2")
        await telling.tell(now() + timedelta(minutes=1))
        assert len(endpoint.ids) == 1
        assert not await telling.tell(now() + timedelta(minutes=1, seconds=30))
        await telling.tell(now() + timedelta(minutes=3))

    assert [each["data"]["subject"] for each in endpoint.events] == ["r1", "r1", "r2"]
    assert endpoint.ids[0] == endpoint.ids[1]


async def test_whoever_did_not_ask_for_measurements_gets_none(desk: Desk) -> None:
    endpoint = Endpoint(204)
    async with _telling(desk, endpoint, "*") as telling:
        await desk.referral("r1")
        assert not await telling.tell(now())

    assert endpoint.events == []
