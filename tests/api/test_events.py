"""What the API acknowledges, and what it stores."""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from tests.desk import Desk, days_ago, event, life_of


async def _facts(desk: Desk) -> int:
    async with desk.database.transaction() as connection:
        return int((await connection.execute(text("SELECT count(*) - 1 FROM fact"))).scalar_one())


def _without(name: str) -> dict[str, Any]:
    whole = life_of("r1")[0]
    return {each: value for each, value in whole.items() if each != name}


async def test_what_is_acknowledged_is_stored_with_its_wake_up(desk: Desk) -> None:
    answer = await desk.tell(life_of("r1")[0])
    told = {"recorded": 1, "repeated": 0, "conflicts": 0, "problems": [], "warnings": []}
    assert (answer.status_code, answer.json()) == (202, {**told, "facts": [{"index": 0, "outcome": "recorded"}]})
    async with desk.database.transaction() as connection:
        woken = (await connection.execute(text("SELECT kind, target, batch_id FROM outbox"))).all()
    assert [tuple(each) for each in woken] == [("fact", "r1", None)]


@pytest.mark.parametrize(
    ("amount", "again", "repeated"),
    [
        ("80.00", "80.0", 1),
        ("80.00", "80", 1),
        ("80", "080.000", 1),
        ("0", "0.00", 1),
        ("80.00", "80.01", 0),
        ("80.00", "8.000", 0),
    ],
)
async def test_an_amount_written_in_another_form_is_the_same(
    desk: Desk, amount: str, again: str, repeated: int
) -> None:
    sent = life_of("r1")[2]
    await desk.tell({**sent, "data": {**sent["data"], "amount": amount}})
    answer = await desk.tell({**sent, "data": {**sent["data"], "amount": again}})
    assert answer.status_code == (202 if repeated else 409)
    both = [{**sent, "id": "two", "data": {**sent["data"], "amount": each}} for each in (amount, again)]
    assert (await desk.tell(both)).json()["conflicts"] == 1 - repeated


async def test_an_instant_written_in_another_form_is_the_same(desk: Desk) -> None:
    sent = {**life_of("r1")[0], "time": "2026-08-03T10:00:00Z"}
    await desk.tell(sent)
    for again in ("2026-08-03T10:00:00.000Z", "2026-08-03T12:00:00+02:00"):
        assert (await desk.tell({**sent, "time": again})).json()["repeated"] == 1
    assert (await desk.tell({**sent, "time": "2026-08-03T10:00:01Z"})).status_code == 409


async def test_an_event_is_taken_in_binary_mode_and_with_its_data_in_base64(desk: Desk) -> None:
    sent = life_of("r1")[0]
    assert (await desk.tell(sent)).status_code == 202
    attributes = {f"ce-{name}": sent[name] for name in ("specversion", "id", "source", "type", "time")}
    headers = {**desk.bearer("site"), **attributes, "ce-id": quote(sent["id"]), "Content-Type": "application/json"}
    answer = await desk.api.post("/v1/events", headers=headers, content=json.dumps(sent["data"]))
    assert (answer.status_code, answer.json()["repeated"]) == (202, 1)
    encoded = base64.b64encode(json.dumps(sent["data"]).encode()).decode()
    answer = await desk.tell({**_without("data"), "data_base64": encoded})
    assert (answer.status_code, answer.json()["repeated"]) == (202, 1)
    assert await _facts(desk) == 1


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"data_base64": "{}"}, "must be a JSON object in base64"),
        ({"data_base64": "bm8="}, "must be a JSON object in base64"),
        ({"data_base64": 5}, "must be a JSON object in base64"),
        ({"data_base64": "e30=", "data": {}}, "stands beside data; send one of them"),
    ],
)
async def test_data_that_cannot_be_read_is_refused(desk: Desk, more: dict[str, Any], what: str) -> None:
    answer = await desk.tell({**_without("data"), **more})
    assert answer.status_code == 422
    assert what in answer.text


async def test_binary_mode_lacks_nothing_that_an_event_needs(desk: Desk) -> None:
    headers = {**desk.bearer("site"), "ce-specversion": "1.0", "ce-id": "x", "Content-Type": "application/json"}
    answer = await desk.api.post("/v1/events", headers=headers, content="{}")
    assert answer.status_code == 422
    assert {each["where"] for each in answer.json()["problems"]} >= {"source", "type", "time"}


async def test_the_same_event_again_changes_nothing(desk: Desk) -> None:
    sent = life_of("r1")[0]
    await desk.tell(sent)
    assert (await desk.tell(sent)).json()["repeated"] == 1
    other = {**sent, "data": {**sent["data"], "channel": "social"}}
    refused = await desk.tell(other)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:referrals:fact-conflict")
    assert await _facts(desk) == 1


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (_without("specversion"), "specversion"),
        (_without("id"), "id"),
        (_without("time"), "time"),
        (_without("data"), "data"),
        (event("x", "referral.lost", days_ago(1), {}), "type"),
        (event("x", "referral.sent", days_ago(1), {**life_of("r1")[0]["data"], "referral": "a@b.ca"}), "data.referral"),
        (event("x", "referral.sent", days_ago(-1), life_of("r1")[0]["data"]), "time"),
        (3, ""),
    ],
)
async def test_an_event_that_cannot_be_taken_is_told_where(desk: Desk, body: Any, where: str) -> None:
    answer = await desk.tell(body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert where in [problem["where"] for problem in answer.json()["problems"]]
    assert await _facts(desk) == 0


async def test_of_an_array_the_good_ones_land(desk: Desk) -> None:
    sent, claimed, bought = life_of("r1")
    other = {**sent, "data": {**sent["data"], "channel": "social"}}
    answer = await desk.tell([sent, _without("time"), claimed, other, bought, sent])
    assert answer.status_code == 202
    body = answer.json()
    assert (body["recorded"], body["repeated"], body["conflicts"]) == (3, 1, 1)
    assert [(each["index"], each["where"]) for each in body["problems"]] == [(1, "time"), (3, "")]
    became = ["recorded", "refused", "recorded", "conflict", "recorded", "repeated"]
    assert body["facts"] == [{"index": index, "outcome": outcome} for index, outcome in enumerate(became)]
    assert await _facts(desk) == 3


async def test_what_contradicts_the_register_is_in_conflict_however_often_it_comes(desk: Desk) -> None:
    sent = life_of("r1")[0]
    await desk.tell(sent)
    other = {**sent, "data": {**sent["data"], "channel": "social"}}
    body = (await desk.tell([other, other])).json()
    assert (body["conflicts"], body["repeated"]) == (2, 0)
    assert [each["index"] for each in body["problems"]] == [0, 1]


async def test_an_answer_is_as_the_documentation_shows_it(desk: Desk) -> None:
    document = (await desk.api.get("/openapi.json")).json()
    (shown,) = document["components"]["schemas"]["Acknowledged"]["examples"]
    sent, claimed, _ = life_of("r1")
    await desk.tell(claimed)
    of_nobodys_program = {**sent, "id": "p", "data": {**sent["data"], "referral": "r2", "program": "acme-freinds"}}
    misspelt = {**sent, "data": {**sent["data"], "referee": {"customer": "c-r1", "emial": "r1@example.com"}}}
    closed = event("d", "conversion.dispute_closed", days_ago(1), {"order": "o", "outcome": "refundd"})
    assert (await desk.tell([of_nobodys_program, misspelt, claimed, closed])).json() == shown


WITHOUT_A_COUNTRY = {"customer": "c-r1", "phone": "(416) 555-0173"}


@pytest.mark.parametrize("mode", ["single", "array", "binary"])
async def test_a_phone_without_a_country_is_warned_of_in_every_mode(desk: Desk, mode: str) -> None:
    sent = life_of("r1")[0]
    sent["data"] |= {"referee": WITHOUT_A_COUNTRY}
    for outcome in ("recorded", "repeated"):
        if mode == "binary":
            attributes = {f"ce-{name}": sent[name] for name in ("specversion", "id", "source", "type", "time")}
            headers = {**desk.bearer("site"), **attributes, "Content-Type": "application/json"}
            answer = await desk.api.post("/v1/events", headers=headers, content=json.dumps(sent["data"]))
        else:
            answer = await desk.tell([sent] if mode == "array" else sent)
        assert answer.json()["facts"] == [{"index": 0, "outcome": outcome}]
        (warning,) = answer.json()["warnings"]
        assert (warning["index"], warning["kind"], warning["where"]) == (0, "unreadable_phone", "data.referee.phone")
        assert "REFERRALS_REGION" in warning["what"]
        assert "0173" not in warning["what"].replace("+14165550173", "")


async def test_a_fact_of_an_unpublished_program_is_parked_until_it_is(desk: Desk) -> None:
    sent = life_of("r1")[0]
    sent["data"] |= {"program": "other"}
    answer = (await desk.tell(sent)).json()
    assert (answer["recorded"], answer["facts"]) == (1, [{"index": 0, "outcome": "parked"}])
    assert [(each["kind"], each["where"]) for each in answer["warnings"]] == [("unknown_program", "data.program")]
    assert (await desk.tell(sent)).json()["warnings"] == answer["warnings"]
    await desk.publish_another()
    again = (await desk.tell(sent)).json()
    assert (again["facts"], again["warnings"]) == ([{"index": 0, "outcome": "repeated"}], [])


async def test_what_arrived_before_changes_no_warning(desk: Desk) -> None:
    sent, claimed, bought = life_of("r1")
    bought["data"]["customer"] |= {"phone": "416 555 0173"}
    alone = (await desk.tell(bought)).json()["warnings"]
    await desk.tell([sent, claimed])
    assert (await desk.tell(bought)).json()["warnings"] == alone != []


@pytest.mark.parametrize("code", ["mira c01", "MIRA-C01", "nobody has it", "mira\u00a0c01"])
async def test_a_code_is_taken_as_it_is_typed(desk: Desk, code: str) -> None:
    claim = {"program": "acme-friends", "referrer_code": code, "channel": "link", "referee": {"customer": "c-r1"}}
    answer = await desk.tell(event("x", "referral.claimed", days_ago(1), claim))
    assert (answer.status_code, answer.json()["warnings"]) == (202, [])


async def test_an_unknown_kind_of_reversal_is_recorded_and_an_unknown_outcome_is_not(desk: Desk) -> None:
    reversal = event("x", "conversion.reversed", days_ago(1), {"order": "o", "kind": "Goodwill"})
    answer = (await desk.tell(reversal)).json()
    assert [(each["kind"], each["where"]) for each in answer["warnings"]] == [("unknown_word", "data.kind")]
    closing = event("y", "conversion.dispute_closed", days_ago(1), {"order": "o", "outcome": "settled"})
    refused = await desk.tell(closing)
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (422, "data.outcome")
    assert all(each in refused.text for each in ("won", "inquiry_closed", "lost", "refunded", "prevented"))


async def test_an_array_of_bad_ones_is_refused_as_a_whole(desk: Desk) -> None:
    answer = await desk.tell([{}, _without("time")])
    assert answer.status_code == 422
    assert {"0.id", "1.time"} <= {problem["where"] for problem in answer.json()["problems"]}


async def test_the_facts_of_an_array_wait_for_no_stragglers(desk: Desk) -> None:
    """What came alone may have neighbours on their way for an hour yet, though its deadline is long past."""
    sent = {**life_of("r1")[0], "time": days_ago(31).isoformat()}
    await desk.tell([sent])
    assert await desk.judge("r1") == "expired"
    await desk.tell({**life_of("r2")[0], "time": days_ago(31).isoformat()})
    assert await desk.judge("r2") == "invited"


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 422), (b"\xff", 422), (b"[]", 422), (b"[" * 100_000, 422), (b" " * 5_000_001, 413)],
    ids=["no JSON", "no UTF-8", "empty", "deep", "large"],
)
async def test_a_body_that_cannot_be_read_is_refused(desk: Desk, content: bytes, status: int) -> None:
    answer = await desk.api.post("/v1/events", content=content, headers=desk.bearer("site"))
    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_an_array_has_at_most_a_thousand_events(desk: Desk) -> None:
    rated = [event(f"s{n}", "satisfaction.rated", days_ago(1), {"referral": "r1", "score": 5}) for n in range(1001)]
    assert (await desk.tell(rated)).status_code == 422
    assert (await desk.tell(rated[:1000])).json()["recorded"] == 1000


@pytest.mark.parametrize(("user", "status"), [("site", 202), ("paula", 403), ("ada", 403)])
async def test_only_a_service_with_the_scope_tells_of_facts(desk: Desk, user: str, status: int) -> None:
    assert (await desk.tell(life_of("r1")[0], as_=user)).status_code == status


async def test_without_a_token_nothing_is_read_or_written(desk: Desk) -> None:
    for method, path in [
        ("POST", "/v1/events"),
        ("GET", "/v1/referrals"),
        ("GET", "/v1/referrals/r1"),
        ("GET", "/v1/claims"),
        ("GET", "/v1/claims/r1"),
        ("POST", "/v1/claims/r1/decisions"),
        ("POST", "/v1/claims/decisions"),
    ]:
        for headers in ({}, {"Authorization": "Bearer rrt_nobody"}, {"Authorization": "Basic cGF1bGE6eA=="}):
            answer = await desk.api.request(method, path, headers=headers, content=json.dumps({}))
            assert answer.status_code == 401, (method, path)


async def test_the_same_events_sent_at_the_same_time_are_recorded_once(desk: Desk) -> None:
    lives = [each for name in ("r1", "r2", "r3") for each in life_of(name)]
    answers = await asyncio.gather(*(desk.tell(body) for body in (lives, lives[::-1], *lives, lives[3:])))
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["recorded"] for answer in answers) == len(lives) == await _facts(desk)
