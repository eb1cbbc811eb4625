"""Who may tell which facts, what is on record of it, and that nobody approves what they told."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.domain.facts.rights import Rights, rights
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk, days_ago, event, life_of

TELLS = (Scope.EVENTS_WRITE,)
SHOP = rights(["acme/shop"], ["conversion.recorded", "conversion.reversal_failed"])


def bought(source: str = "acme/shop", type_: str = "conversion.recorded", name: str = "b1") -> dict[str, Any]:
    data = {
        "order": "o1",
        "kind": "purchase",
        "customer": {"email": "brie@example.com"},
        "amount": "5",
        "currency": "USD",
    }
    return {**event(name, type_, days_ago(3), data), "source": source}


async def ask(desk: Desk, method: str, path: str, body: Any = None, *, as_: str = "ada") -> httpx.Response:
    return await desk.api.request(method, path, json=body, headers=desk.bearer(as_))


async def add(desk: Desk, name: str, tells: Rights, *roles: Role) -> None:
    await desk.add_user(name, *roles, scopes=TELLS, tells=tells)


async def recorded(desk: Desk) -> int:
    async with desk.database.reading() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM fact"))).scalar_one())


@pytest.mark.parametrize(
    ("told", "where"),
    [
        (bought("acme/crm"), "source"),
        (bought(type_="referrer.reinstated") | {"data": {"referrer": "d", "program": "p"}}, "type"),
    ],
)
async def test_a_token_tells_only_facts_of_its_sources_and_types(desk: Desk, told: dict[str, Any], where: str) -> None:
    await add(desk, "shop", SHOP)
    before = await recorded(desk)
    answer = await desk.tell(told, as_="shop")
    (problem,) = answer.json()["problems"]
    assert (answer.status_code, problem["where"]) == (422, where)
    assert "it may tell conversion.recorded, conversion.reversal_failed of acme/shop" in problem["what"]
    assert await recorded(desk) == before


async def test_of_an_array_and_of_a_file_the_facts_that_may_be_told_are_taken(desk: Desk) -> None:
    await add(desk, "shop", SHOP)
    answer = await desk.tell([bought("acme/crm"), bought()], as_="shop")
    assert (answer.json()["recorded"], [each["index"] for each in answer.json()["problems"]]) == (1, [0])
    lines = "\n".join(json.dumps(each) for each in (bought(name="b2"), bought("acme/crm", name="b3")))
    headers = {**desk.bearer("shop"), "Content-Type": "application/x-ndjson"}
    taken = (await desk.api.post("/v1/batches", content=lines, headers=headers)).json()
    assert (taken["recorded"], taken["refused"], [each["line"] for each in taken["problems"]]) == (1, 1, [2])
    strict = await desk.api.post("/v1/batches?strict=true", content=lines, headers=headers)
    assert (strict.status_code, strict.json()["problems"][0]["where"]) == (422, "line 2: source")


@pytest.mark.parametrize(
    ("new", "where"),
    [
        ({"scopes": ["events:write"]}, "sources"),
        ({"scopes": ["events:write"], "sources": ["acme/shop"]}, "types"),
        ({"roles": ["finance"], "sources": ["acme/shop"], "types": ["*"]}, "sources"),
        ({"scopes": ["events:write"], "sources": ["*"], "types": ["conversion.recoded"]}, "types"),
    ],
)
async def test_nobody_tells_facts_by_default(desk: Desk, new: dict[str, Any], where: str) -> None:
    answer = await ask(desk, "POST", "/v1/users", {"name": "shop", **new})
    assert (answer.status_code, answer.json()["problems"][0]["where"]) == (422, where)
    named = {"name": "shop", "scopes": ["events:write"], "sources": ["acme/shop"], "types": ["conversion.*"]}
    assert (await ask(desk, "POST", "/v1/users", named)).status_code == 201


async def test_a_token_tells_no_more_than_its_user_now(desk: Desk) -> None:
    await add(desk, "shop", SHOP)
    wider = {"label": "all", "scopes": ["events:write"], "sources": ["*"], "types": ["*"]}
    assert (await ask(desk, "POST", "/v1/users/shop/tokens", wider)).status_code == 403
    narrower = {"label": "some", "sources": ["acme/shop"], "types": ["conversion.recorded"]}
    desk.tokens["some"] = (await ask(desk, "POST", "/v1/users/shop/tokens", narrower)).json()["token"]
    me = (await desk.get("/v1/me", "some")).json()
    assert (me["sources"], me["types"]) == (["acme/shop"], ["conversion.recorded"])
    listed = (await desk.get("/v1/users/shop/tokens", "ada")).json()
    assert [each["types"] for each in listed] == [["conversion.recorded"], sorted(SHOP.types)]
    fewer = {"sources": ["acme/shop"], "types": ["conversion.reversal_failed"]}
    assert (await ask(desk, "PUT", "/v1/users/shop/rights", fewer)).status_code == 204
    assert (await desk.tell(bought(), as_="some")).status_code == 422
    assert "it may tell nothing" in (await desk.tell(bought(), as_="some")).text
    assert (await ask(desk, "PUT", "/v1/users/ada/rights", fewer)).status_code == 403
    assert (await ask(desk, "PUT", "/v1/users/paula/rights", fewer)).status_code == 422


async def test_who_told_a_fact_stands_with_it_and_in_the_audit_log(desk: Desk) -> None:
    await add(desk, "shop", rights(["test"], ["conversion.*"]))
    *others, purchase = life_of("r1")
    await desk.tell(others)
    await desk.tell(purchase, as_="shop")
    await desk.tell(purchase)  # who tells it again changes nothing
    shown = (await desk.get("/v1/referrals/r1")).json()["facts"]
    assert [each["told_by"] for each in shown if each["type"] == "conversion.recorded"] == ["shop"]
    assert {each["told_by"] for each in shown if each["type"] != "conversion.recorded"} == {"site"}
    async with desk.database.reading() as connection:
        query = "SELECT subject, details FROM audit_event WHERE act = 'facts.told' AND actor = 'shop'"
        (row,) = (await connection.execute(text(query))).all()
    (fact,) = [each for each in shown if each["told_by"] == "shop"]
    assert row.subject == fact["fact"]
    assert row.details == {
        "token": fact["token"], "facts": 1, "sources": ["test"], "types": ["conversion.recorded"]
    }  # fmt: skip


@pytest.mark.parametrize(("types", "flagged"), [(["conversion.*"], False), (sorted(SHOP.types), True)])
async def test_what_restores_counts_only_from_whoever_may_tell_what_it_undoes(
    desk: Desk, types: list[str], flagged: bool
) -> None:
    await add(desk, "failing", rights(["test"], types))
    back = {"order": "o-r1", "kind": "refund", "amount": "30.00", "reversal": "x1"}
    await desk.tell([*life_of("r1"), event("back", "conversion.reversed", days_ago(20), back)])
    failed = event("failed", "conversion.reversal_failed", days_ago(19), {"order": "o-r1", "reversal": "x1"})
    assert (await desk.tell([failed], as_="failing")).status_code == 202
    # What may be told later changes nothing.
    await ask(desk, "PUT", "/v1/users/failing/rights", {"sources": ["*"], "types": ["*"]})
    await desk.judge("r1")
    claim = (await desk.get("/v1/claims/r1")).json()["claim"]
    assert ("evidence_conflict" in [each["flag"] for each in claim["flags"]]) is flagged


async def test_nobody_approves_what_they_told(desk: Desk) -> None:
    await add(desk, "percy", rights(["test"], ["*"]), Role.PROGRAM_OWNER)
    await desk.tell(life_of("r1")[:2])
    await desk.tell(life_of("r1")[2:], as_="percy")
    await desk.judge("r1")
    refused = await desk.decide("r1", "approve", "percy")
    assert (refused.status_code, refused.json()["rule"]) == (409, "told_by_oneself")
    assert (await desk.decide("r1", "hold", "percy")).status_code == 201, "what only keeps money back stays open"
    await desk.judge("r1")
    assert (await desk.decide("r1", "release", "percy")).json()["rule"] == "told_by_oneself"
    async with desk.browser("percy") as browser:
        assert "ou told a fact that it rests on" in (await browser.get("/claims/r1")).text
    assert (await desk.decide("r1", "release", "paula")).status_code == 201
    await desk.judge("r1")
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"


@pytest.mark.parametrize("reserved", [False, True])
async def test_an_approval_no_longer_counts_once_its_approver_tells_a_fact_of_it(desk: Desk, reserved: bool) -> None:
    await add(desk, "percy", rights(["test"], ["*"]), Role.PROGRAM_OWNER)
    await desk.referral("r1")
    assert (await desk.decide("r1", "approve", "percy")).status_code == 201
    if reserved:
        assert await desk.judge("r1") == "approved"
    rated = {"referral": "r1", "by": "referee", "score": 5}
    await desk.tell([event("rated", "satisfaction.rated", days_ago(1), rated)], as_="percy")
    assert await desk.judge("r1") == "awaiting_approval"
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"
