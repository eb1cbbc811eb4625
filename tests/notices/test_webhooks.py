"""Events to others' systems, against real endpoints that verify them with the library of the standard."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from referral_rewards.loopback import reply, served
from referral_rewards.notices.webhook import Hook
from tests.desk import Desk, desk, life_of
from tests.notices.posting import LONG, SHORT, now, postman, sql, told
from tests.sources.told import dripping, silent

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


class Endpoint:
    """Takes events, each verified, and answers with one status after the other, the last one for ever after."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self._statuses = list(statuses) or [204]
        self._headers = headers or {}
        self.events: list[dict[str, Any]] = []
        self.ids: list[str] = []

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.events.append(Webhook(SECRET).verify(body, headers))
        self.ids.append(headers["webhook-id"])
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        await reply(send, status, **self._headers)


@asynccontextmanager
async def listening(
    database_url: str, endpoint: Any, *events: str, patience: float = LONG
) -> AsyncIterator[tuple[Desk, Any]]:
    async with served(endpoint) as url, desk(database_url) as opened:
        hooks = {"crm": Hook(f"{url}/hook", events or ("*",), [SECRET])}
        async with postman(opened, None, hooks, patience=patience) as man:
            yield opened, man


async def test_every_step_and_decision_is_told_signed_and_once(database_url: str) -> None:
    endpoint = Endpoint(204)
    async with listening(database_url, endpoint, "referral.*", "decision.recorded") as (opened, man):
        await opened.referral("r1")
        await opened.decide("r1", "approve")
        await opened.judge("r1")
        while await man.deliver(now()):
            pass
    types = [each["type"] for each in endpoint.events]
    assert sorted(types) == sorted(
        ["referral.in_review", "referral.awaiting_approval", "decision.recorded", "referral.approved"]
    )
    assert len(set(endpoint.ids)) == len(types)
    approved = next(each for each in endpoint.events if each["type"] == "referral.approved")
    assert approved["data"]["status"] == "approved"
    assert [(leg["role"], leg["amount_minor"], leg["currency"]) for leg in approved["data"]["reward"]] == [
        ("referrer", 2500, "USD"),
        ("referee", 800, "USD"),
    ]
    decided = next(each for each in endpoint.events if each["type"] == "decision.recorded")
    assert (decided["data"]["kind"], decided["data"]["by"]) == ("approve", "paula")
    everything = json.dumps(endpoint.events)
    assert "@" not in everything
    assert "looked at it" not in everything


async def test_an_order_is_told_with_its_store(database_url: str) -> None:
    endpoint = Endpoint()
    async with listening(database_url, endpoint, "referral.awaiting_approval") as (opened, man):
        of_a_store = life_of("r2")
        of_a_store[-1]["data"]["store"] = "fr"
        await opened.tell(of_a_store)
        assert await opened.judge("r2") == "awaiting_approval"
        await opened.referral("r1")
        while await man.deliver(now()):
            pass
    orders = [(each["data"]["order"], each["data"]["store"]) for each in endpoint.events]
    assert sorted(orders, key=str) == [("o-r1", None), ("o-r2", "fr")]


async def test_an_endpoint_is_told_only_what_it_asks_for(database_url: str) -> None:
    endpoint = Endpoint()
    async with listening(database_url, endpoint, "referral.awaiting_approval") as (opened, man):
        await opened.referral("r1")
        await man.deliver(now())
    assert [each["type"] for each in endpoint.events] == ["referral.awaiting_approval"]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 301, 302, 307])
async def test_any_other_answer_is_tried_again_under_the_same_id(database_url: str, status: int) -> None:
    elsewhere = Endpoint()
    async with served(elsewhere) as there:
        endpoint = Endpoint(status, 200, headers={"location": f"{there}/hook"})
        async with listening(database_url, endpoint, "referral.awaiting_approval") as (opened, man):
            await opened.referral("r1")
            await man.deliver(now())
            [row] = await told(opened, audience="webhook")
            assert (row.state, row.why, row.attempts) == ("waiting", f"the webhook crm answered {status}", 1)
            await man.deliver(row.due_at)
            [row] = await told(opened, audience="webhook")
            assert (row.state, row.why) == ("sent", None)
    assert len(set(endpoint.ids)) == 1
    assert len(endpoint.ids) == 2
    assert elsewhere.events == []


async def test_an_endpoint_that_is_gone_wants_no_more_of_it(database_url: str) -> None:
    async with listening(database_url, Endpoint(410), "referral.awaiting_approval") as (opened, man):
        await opened.referral("r1")
        await man.deliver(now())
        [row] = await told(opened, audience="webhook")
        assert (row.state, row.why) == ("undeliverable", "the webhook crm answered 410")


@pytest.mark.parametrize(
    ("app", "patience", "state", "why"),
    [
        (silent, SHORT, "waiting", "the webhook crm was not reached (TimeoutError)"),
        # Its status is the answer, and nobody waits for what it says: it would never be done.
        (dripping, LONG, "sent", None),
    ],
    ids=["silent", "never done"],
)
async def test_an_endpoint_that_does_not_answer_keeps_nobody_waiting(
    database_url: str, app: Any, patience: float, state: str, why: str | None
) -> None:
    async with listening(database_url, app, "referral.awaiting_approval", patience=patience) as (opened, man):
        await opened.referral("r1")
        await man.deliver(now())
        [row] = await told(opened, audience="webhook")
    assert (row.state, row.why) == (state, why)


async def test_what_was_planned_for_an_endpoint_that_is_not_connected_here_waits(database_url: str) -> None:
    async with listening(database_url, Endpoint(), "referral.awaiting_approval") as (opened, _):
        await opened.referral("r1")
        async with postman(opened, None) as without:
            await without.deliver(now() + timedelta(seconds=1))
        [row] = await told(opened, audience="webhook")
        assert (row.state, row.why) == ("waiting", "the webhook crm is not connected here")
        await opened.referral("r2")
        assert await sql(opened, "SELECT * FROM notice WHERE referral_id = 'r2'") == []


async def test_an_overdue_claim_is_told_as_an_event(database_url: str) -> None:
    endpoint = Endpoint()
    async with listening(database_url, endpoint, "claim.*") as (opened, man):
        await opened.referral("r1")
        past = "now() - interval '6 days'"
        await sql(opened, f"UPDATE referral SET waiting_since = {past}, judged_at = {past}")
        await opened.judge("r1")
        await man.deliver(now())
    assert {each["type"] for each in endpoint.events} == {"claim.overdue", "claim.escalated"}
    assert all(each["data"]["routes"] == ["program_owner"] for each in endpoint.events)
