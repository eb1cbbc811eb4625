"""Looks at a payee in clear: for finance alone, each on record before its answer leaves."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.desk import Desk, days_ago, event
from tests.notices.posting import sql

IBAN, NAME = "DE02 1203 0000 0000 2020 51", "Dexter Miller"


def method(id_: str, days: float, **said: Any) -> dict[str, Any]:
    return event(id_, "payee.method_set", days_ago(days), {"payee": "dexter", "rail": "manual", **said})


@pytest.fixture
async def told(desk: Desk) -> Desk:
    about = {"referrer": "dexter", "program": "acme-friends", "customer": "c-dexter", "name": NAME}
    enrolled = event("e-name", "referrer.enrolled", days_ago(200), about)
    old, new = method("m-old", 100, reference="acct-1"), method("m-new", 5, reference=IBAN)
    assert (await desk.tell([enrolled, old, new])).status_code == 202
    return desk


async def look(desk: Desk, as_: str = "fiona", payee: str = "dexter", why: str = "redirect") -> httpx.Response:
    return await desk.api.post("/v1/looks", json={"payee": payee, "why": why}, headers=desk.bearer(as_))


async def looks(desk: Desk) -> list[tuple[str, str, str]]:
    rows = await sql(desk, "SELECT actor, subject, details FROM audit_event WHERE act = 'payee.seen' ORDER BY id")
    return [(row.actor, row.subject, row.details["because"]) for row in rows]


async def test_finance_sees_the_name_and_both_destinations_and_the_look_is_on_record(told: Desk) -> None:
    seen = await look(told)
    assert (seen.status_code, seen.headers["Cache-Control"]) == (201, "no-store")
    body = seen.json()
    assert [each["name"] for each in body["names"]] == [NAME]
    shown = [(each["in_clear"], each["present"], each["source"]) for each in body["destinations"]]
    assert shown == [("acct-1", False, "test"), (IBAN, True, "test")]
    assert await looks(told) == [("fiona", "dexter", "redirect")]


@pytest.mark.parametrize("user", ["paula", "oscar", "ada", "site"])
async def test_nobody_else_sees_anything_and_no_look_is_on_record(told: Desk, user: str) -> None:
    seen = await look(told, as_=user)
    file = await told.api.post("/v1/payouts/instructions/file", json={}, headers=told.bearer(user))
    assert (seen.status_code, file.status_code) == (403, 403)
    assert NAME not in seen.text
    assert await looks(told) == []


async def test_a_look_is_on_record_before_its_answer_leaves(told: Desk) -> None:
    """Another connection reads it when the first byte of the answer is sent."""
    recorded: list[list[tuple[str, str, str]]] = []
    body = json.dumps({"payee": "dexter", "why": "audit"}).encode()
    headers = {**told.bearer("fiona"), "content-type": "application/json", "host": "api"}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/looks", "raw_path": b"/v1/looks", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("api", 80), "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            recorded.append(await looks(told))

    await told.app(scope, receive, send)
    assert recorded == [[("fiona", "dexter", "audit")]]


async def test_what_cannot_be_recorded_is_not_shown(told: Desk) -> None:
    await sql(told, "ALTER TABLE audit_event ADD CONSTRAINT ck_for_test CHECK (act <> 'payee.seen') NOT VALID")
    seen = await look(told)
    assert seen.status_code == 500
    assert NAME not in seen.text


async def test_what_was_erased_says_so(told: Desk) -> None:
    await sql(told, "UPDATE personal_data SET sealed = NULL, erased_at = now()")
    body = (await look(told)).json()
    assert [(each["name"], each["erased"]) for each in body["names"]] == [(None, True)]
    shown = [(each["in_clear"], each["erased"]) for each in body["destinations"]]
    assert shown == [("acct-1", False), (None, True)], "what is public was never personal"
    assert await looks(told) == [("fiona", "dexter", "redirect")]


async def test_a_look_at_nobody_or_for_no_reason_gets_one_line_and_no_record(told: Desk) -> None:
    assert (await look(told, payee="nobody")).status_code == 404
    assert (await look(told, why="curious")).status_code == 422
    assert (await look(told, why="bank_file")).status_code == 422
    assert await looks(told) == []


async def test_a_read_only_token_of_finance_sees_nothing(told: Desk) -> None:
    async with told.database.transaction() as connection:
        await connection.execute(text("UPDATE api_token SET scopes = '{claims:read}' WHERE username = 'fiona'"))
    assert (await look(told)).status_code == 403
    assert await looks(told) == []


async def test_no_page_list_or_history_holds_it(told: Desk) -> None:
    await look(told)
    async with told.browser("fiona") as browser:
        pages = [await browser.get(path) for path in ("/payees", "/payees/dexter", "/audit?act=payee.seen")]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert [page for page in pages if IBAN in page.text or NAME in page.text] == []
    assert "to check a redirect" in pages[-1].text
    shown = (await told.get("/v1/payees/dexter", "fiona")).text
    assert IBAN not in shown
    assert NAME not in shown
