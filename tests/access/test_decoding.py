"""`/codec/decode`: who may have sealed payloads opened, from where, and that it is on record."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from temporalio.api.common.v1 import Payload

from referral_rewards.api.desk.session.visiting import SESSION_COOKIE
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.payload_codec import Codec
from referral_rewards.register.people import sessions
from tests.access.test_audit import record
from tests.desk import Desk

WEB_UI = "http://127.0.0.1:8233"
CODEC = Codec({"2026-12": b"n" * 32})


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """An API with a key for payloads, and a Web UI."""
    parts = replace(desk.parts, codec=CODEC, web_ui=f"{WEB_UI}/namespaces/default")
    desk.parts = desk.app.state.parts = parts
    return desk


async def sealed() -> str:
    """What the Web UI sends of one sealed payload and one in clear."""
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'"r1"')
    both = [*(await CODEC.encode([clear])), clear]
    return json.dumps({"payloads": [_written(each) for each in both]})


def _written(payload: Payload) -> dict[str, object]:
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


async def ask(desk: Desk, as_: str | None, origin: str | None = None, body: str | None = None) -> httpx.Response:
    """The request of the Temporal CLI or, with an ``origin``, of a page."""
    headers = {"X-Namespace": "default", **(desk.bearer(as_) if as_ else {}), **({"Origin": origin} if origin else {})}
    return await desk.api.post("/codec/decode", content=body or await sealed(), headers=headers)


async def test_whoever_may_inspect_runs_reads_them_and_it_is_on_record(desk: Desk) -> None:
    answer = await ask(desk, "ada")
    assert [base64.b64decode(each["data"]) for each in answer.json()["payloads"]] == [b'"r1"', b'"r1"']
    assert await record(desk, "payload.seen") == [
        ("ada", "payload.seen", "default", {"payloads": 2, "keys": ["2026-12"]})
    ]
    assert (await ask(desk, "oscar")).status_code == 200


async def test_nobody_else_reads_anything(desk: Desk) -> None:
    for name, status in ((None, 401), ("site", 403), ("paula", 403), ("fiona", 403)):
        refused = await ask(desk, name)
        assert (refused.status_code, "r1" in refused.text, "data" in refused.text) == (status, False, False), name
    assert await record(desk, "payload.seen") == []


async def test_only_the_page_of_the_web_ui_may_ask_with_the_cookie_of_the_desk(desk: Desk) -> None:
    async with desk.browser("oscar") as browser:
        for origin, status in ((WEB_UI, 200), ("http://evil.example", 403), ("null", 403), (f"{WEB_UI}0", 403)):
            headers = {"Origin": origin}
            before = await browser.client.options("/codec/decode", headers=headers)
            answer = await browser.client.post("/codec/decode", content=await sealed(), headers=headers)
            assert answer.status_code == status, origin
            for each in (before, answer):
                shared = each.headers.get("Access-Control-Allow-Origin")
                assert shared == (WEB_UI if origin == WEB_UI else None)
                assert each.headers["Vary"] == "Origin"
    assert (await ask(desk, None, WEB_UI)).headers["Access-Control-Allow-Origin"] == WEB_UI, "so that it can say why"


async def test_a_session_without_its_second_factor_reads_nothing(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        token = await sessions.begin(connection, "oscar", at=datetime.now(UTC), factor=Factor.MISSING)
    desk.api.cookies.set(SESSION_COOKIE, token)
    assert (await ask(desk, None)).status_code == 403


@pytest.mark.parametrize("body", ["", "[1]", "x", '{"payloads": 1}', '{"payloads": [{"data": 1}]}', "\ud800"])
async def test_what_is_no_list_of_payloads_is_refused_in_one_line(desk: Desk, body: str) -> None:
    sent = body.encode("utf-8", "surrogatepass")
    refused = await desk.api.post("/codec/decode", content=sent, headers=desk.bearer("ada"))
    assert refused.status_code == 422
    assert "send payloads as Temporal does" in refused.json()["detail"]


async def test_without_keys_there_is_no_such_page(desk: Desk) -> None:
    desk.app.state.parts = replace(desk.parts, codec=Codec({}))
    assert (await ask(desk, "ada")).status_code == 404
