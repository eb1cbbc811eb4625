"""Files of facts over HTTP: read while they come in, told line by line, and asked about until they are settled."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.api.headers import BODY_BYTES_MAX
from referral_rewards.loopback import served
from referral_rewards.register.facts import streams
from referral_rewards.register.people import users
from tests.desk import Desk, life_of

NDJSON = "application/x-ndjson"


def lines(*events: Any) -> bytes:
    return "".join(json.dumps(event) + "\n" for event in events).encode()


async def send(desk: Desk, body: Any, media_type: str = NDJSON, as_: str = "site", **asked: Any) -> httpx.Response:
    headers = {**desk.bearer(as_), "Content-Type": media_type}
    return await desk.api.post("/v1/batches", content=body, headers=headers, params=asked)


async def count(desk: Desk, statement: str) -> Any:
    async with desk.database.transaction() as connection:
        return (await connection.execute(text(statement))).scalar_one()


async def test_good_lines_land_and_bad_ones_are_told_by_number(desk: Desk) -> None:
    sent, claimed, bought = life_of("r1")
    other = {**sent, "data": {**sent["data"], "channel": "social"}}
    told = await send(desk, lines(sent) + b"{\n" + lines(claimed, {**bought, "time": "soon"}, other))
    assert told.status_code == 202, told.text
    found = told.json()
    assert {name: found[name] for name in ("recorded", "repeated", "refused", "conflicts", "parked")} == {
        "recorded": 2,
        "repeated": 0,
        "refused": 2,
        "conflicts": 1,
        "parked": {},
    }
    assert [(each["line"], each["where"]) for each in found["problems"]] == [(2, ""), (4, "time"), (5, "")]
    assert [(each["first"], each["last"], each["outcome"]) for each in found["lines"]] == [
        *((1, 1, "recorded"), (2, 2, "refused"), (3, 3, "recorded"), (4, 4, "refused"), (5, 5, "conflict"))
    ]


@pytest.mark.parametrize("strict", [False, True])
async def test_what_became_of_each_line_is_told_across_batches(
    desk: Desk, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referral_rewards.register.facts.file_intake.BATCH_LINES", 2)
    known, new = life_of("r1"), [each for name in ("r2", "r3") for each in life_of(name)]
    await send(desk, lines(*known))
    found = (await send(desk, lines(*known, *new, new[0]), strict=strict)).json()
    assert [(each["first"], each["last"], each["outcome"]) for each in found["lines"]] == [
        *((1, 3, "repeated"), (4, 9, "recorded"), (10, 10, "repeated"))
    ]


@pytest.mark.parametrize("strict", [False, True])
async def test_warnings_of_a_file_are_told_by_kind_with_their_first_lines(
    desk: Desk, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referral_rewards.register.facts.file_intake.BATCH_LINES", 3)
    told = [life_of(f"r{number}")[0] for number in range(8)]
    for sent in told[1:]:
        sent["data"]["referee"]["phone"] = "416 555 0173"
    told[5]["data"]["program"] = "acme-freinds"
    found = (await send(desk, lines(*told), strict=strict)).json()
    groups = [(each["kind"], each["where"], each["count"], each["lines"]) for each in found["warnings"]]
    assert groups == [
        ("unknown_program", "data.program", 1, [6]),
        ("unreadable_phone", "data.referee.phone", 7, [2, 3, 4, 5, 6]),
    ]
    assert [(each["first"], each["last"], each["outcome"]) for each in found["lines"]] == [
        *((1, 5, "recorded"), (6, 6, "parked"), (7, 8, "recorded"))
    ]


async def test_a_batch_is_settled_once_nothing_moves_by_itself(desk: Desk) -> None:
    batch = (await send(desk, lines(*life_of("r1")))).json()["batch"]

    async def standing() -> tuple[int, int]:
        answer = await desk.api.get(f"/v1/batches/{batch}", headers=desk.bearer("site"))
        assert answer.status_code == 200, answer.text
        return answer.json()["referrals"], answer.json()["moving"]

    assert await standing() == (1, 1)
    await desk.judge("r1")
    assert await standing() == (1, 0)
    unknown = await desk.api.get("/v1/batches/00000000-0000-0000-0000-000000000001", headers=desk.bearer("site"))
    assert unknown.status_code == 404


async def test_a_file_may_be_longer_than_any_other_body(desk: Desk) -> None:
    first, padded = life_of("r1")[0], b" " * 60_000 + b"\n"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // len(padded) + 2):
            yield padded
        yield lines(first)

    told = await send(desk, pieces())
    assert (told.status_code, told.json()["recorded"]) == (202, 1)


async def test_what_is_here_is_stored_while_the_rest_is_awaited(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever breaks off leaves it so, with its wake-ups held back until the same file has come in whole."""
    monkeypatch.setattr("referral_rewards.register.facts.file_intake.BATCH_LINES", 1)
    body = lines(*life_of("r1"))
    first, *rest = body.splitlines(keepends=True)
    digest = {"sha256": hashlib.sha256(body).hexdigest()}
    before = await count(desk, "SELECT count(*) FROM fact")

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        while await count(desk, "SELECT count(*) FROM fact") == before:
            await asyncio.sleep(0)
        raise ConnectionError("the line went dead")

    async with served(desk.app) as url, httpx.AsyncClient(base_url=url) as api:
        headers = {**desk.bearer("site"), "Content-Type": NDJSON}
        with pytest.raises(ConnectionError):
            await api.post("/v1/batches", content=pieces(), headers=headers, params=digest)
    assert await count(desk, "SELECT count(*) FROM outbox WHERE batch_id IS NOT NULL") == 1
    again = (await send(desk, b"".join([first, *rest]), **digest)).json()
    assert (again["recorded"], again["repeated"]) == (2, 1)
    assert await count(desk, "SELECT count(*) FROM outbox WHERE batch_id IS NOT NULL") == 0


@pytest.mark.parametrize("strict", [False, True])
async def test_a_file_that_is_not_the_one_announced_is_not_finished(desk: Desk, strict: bool) -> None:
    body, digest = lines(*life_of("r1")), hashlib.sha256(b"another").hexdigest()
    before = await count(desk, "SELECT count(*) FROM fact")
    refused = await send(desk, body, sha256=digest, strict=strict)
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (422, "sha256")
    stored = await count(desk, "SELECT count(*) FROM fact") - before
    assert stored == (0 if strict else 3)
    assert await count(desk, f"SELECT count(finished_at) FROM ingest_batch WHERE name = '{digest}'") == 0


@pytest.mark.parametrize("wrong", [b"{\n", lines({**life_of("r1")[0], "type": "nonsense"})])
async def test_strict_takes_all_of_it_or_nothing(desk: Desk, wrong: bytes) -> None:
    good = lines(*life_of("r1"))
    before = await count(desk, "SELECT count(*) FROM fact")
    refused = await send(desk, good + wrong, strict=True)
    assert (refused.status_code, len(refused.json()["problems"])) == (422, 1)
    assert refused.json()["problems"][0]["where"].startswith("line 4")
    assert await count(desk, "SELECT count(*) FROM fact") == before
    assert (await send(desk, good, strict=True)).json()["recorded"] == 3


async def test_what_is_kept_aside_has_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WHOLE_BYTES_MAX", 100)
    refused = await send(desk, lines(*life_of("r1")), strict=True)
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (422, "strict")


async def test_rows_say_the_same_as_lines(desk: Desk) -> None:
    (sent, *_) = life_of("r1")
    flat = {"data.referral": "r1", "data.program": "acme-friends", "data.referrer": "dexter", "data.channel": "email"}
    flat |= {"data.referee.customer": "c-r1", "data.referee.email": "r1@example.com"}
    head, row = [*("id", "source", "type", "time"), *flat], [sent["id"], "test", sent["type"], sent["time"]]
    sheet = ",".join(head) + "\n" + ",".join([*row, *flat.values()]) + "\n"
    assert (await send(desk, sheet.encode(), "text/csv; charset=utf-8")).json()["recorded"] == 1
    assert (await send(desk, lines(sent))).json()["repeated"] == 1


@pytest.mark.parametrize(
    ("body", "media_type", "where"),
    [(b"", "application/xml", "content-type"), (b"", "", "content-type"), (b"a,b\n", "text/csv", "line 1: column id")],
)
async def test_what_is_no_file_of_facts_is_refused(desk: Desk, body: bytes, media_type: str, where: str) -> None:
    refused = await send(desk, body, media_type)
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (422, where)


async def test_an_empty_file_changes_nothing(desk: Desk) -> None:
    assert (await send(desk, b"")).json()["recorded"] == 0


async def test_people_tell_no_facts(desk: Desk) -> None:
    assert (await send(desk, b"", as_="paula")).status_code == 403


async def test_whoever_is_barred_meanwhile_tells_nothing_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referral_rewards.register.facts.file_intake.BATCH_LINES", 1)
    first, *rest = life_of("r1")
    before = await count(desk, "SELECT count(*) FROM fact")

    async def pieces() -> AsyncIterator[bytes]:
        yield lines(first)
        while await count(desk, "SELECT count(*) FROM fact") == before:
            await asyncio.sleep(0)
        async with desk.database.transaction() as connection:
            await users.bar(connection, "site", at=datetime.now(UTC))
        yield lines(*rest)

    async with served(desk.app) as url, httpx.AsyncClient(base_url=url) as api:
        headers = {**desk.bearer("site"), "Content-Type": NDJSON}
        refused = await api.post("/v1/batches", content=pieces(), headers=headers)
    assert refused.status_code == 401
    assert await count(desk, "SELECT count(*) FROM fact") == before + 1
