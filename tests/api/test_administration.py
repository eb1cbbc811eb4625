"""People, tokens, the blocklist, programs and links over HTTP: who may do what, and who is on record for it."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.people.authority import Role, Scope
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import users
from tests.desk import PROGRAM, Desk

NEWER = PROGRAM.replace('minimum: "50.00"', 'minimum: "60.00"').replace("2025-01-01", "2099-01-01")
TOKEN = "00000000-0000-0000-0000-000000000001"


async def ask(desk: Desk, method: str, path: str, as_: str | None, body: Any = None) -> httpx.Response:
    headers = desk.bearer(as_) if as_ is not None else {}
    return await desk.api.request(method, path, json=body, headers=headers)


#: Each request with who alone may make it; everybody else there is refused.
REQUESTS: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "/v1/users", None, {"ada"}),
    ("POST", "/v1/users", {"name": "new", "roles": ["finance"]}, {"ada"}),
    ("PUT", "/v1/users/oscar/roles", {"roles": ["finance"]}, {"ada"}),
    ("PUT", "/v1/users/oscar/marks", {"customer": "c1"}, {"ada"}),
    ("DELETE", "/v1/users/oscar/marks", None, {"ada"}),
    ("PUT", "/v1/users/oscar/contact", {"email": "o@example.com"}, {"ada"}),
    ("DELETE", "/v1/users/oscar/contact", None, {"ada"}),
    ("PUT", "/v1/users/oscar/password", {"password": "correct horse battery"}, {"ada"}),
    ("DELETE", "/v1/users/oscar/password", None, {"ada"}),
    ("POST", "/v1/users/oscar/identities", {"issuer": "https://id.example.com", "subject": "1"}, {"ada"}),
    ("DELETE", "/v1/users/oscar/identities", None, {"ada"}),
    ("DELETE", "/v1/users/oscar/sessions", None, {"ada"}),
    ("PUT", "/v1/users/nobody-else/bar", None, {"ada"}),
    ("DELETE", "/v1/users/nobody-else/bar", None, {"ada"}),
    ("GET", "/v1/users/oscar/changes", None, {"ada"}),
    ("PUT", "/v1/users/oscar/confirmation", {"changes": [TOKEN]}, {"ada"}),
    ("GET", "/v1/users/fiona/tokens", None, {"ada", "fiona"}),
    ("POST", "/v1/users/paula/tokens", {"label": "x"}, {"ada", "paula"}),
    ("DELETE", f"/v1/users/oscar/tokens/{TOKEN}", None, {"ada"}),
    ("GET", "/v1/blocklist", None, {"ada"}),
    ("POST", "/v1/blocklist", {"device": ["d1"], "why": "w"}, {"ada"}),
    ("POST", "/v1/blocklist/removals", {"device": ["d2"]}, {"ada"}),
    ("POST", "/v1/programs", {"terms": NEWER}, {"paula"}),
    ("GET", "/v1/programs", None, {"ada", "fiona", "oscar", "paula"}),
    ("GET", "/v1/programs/acme-friends/terms", None, {"ada", "fiona", "oscar", "paula"}),
    ("POST", "/v1/programs/acme-friends/preflight", {}, {"ada", "fiona", "oscar", "paula"}),
    ("POST", "/v1/programs/acme-friends/simulations", {"terms": PROGRAM}, {"ada", "fiona", "oscar", "paula"}),
    ("POST", "/v1/referrals/r1/status-links", {"side": "referrer"}, {"ada", "fiona", "oscar", "paula"}),
]


@pytest.mark.parametrize(("method", "path", "body", "allowed"), REQUESTS, ids=[f"{r[0]} {r[1]}" for r in REQUESTS])
async def test_only_who_may_is_not_refused(desk: Desk, method: str, path: str, body: Any, allowed: set[str]) -> None:
    assert (await ask(desk, method, path, None, body)).status_code == 401
    answers = {name: (await ask(desk, method, path, name, body)).status_code for name in desk.tokens}
    assert {name for name, status in answers.items() if status != 403} == allowed, answers


READS = {path for method, path, *_ in REQUESTS if method == "GET"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [(r[0], r[1], r[2]) for r in REQUESTS if r[1] not in READS and not r[1].endswith(("preflight", "simulations"))],
)
async def test_a_token_that_only_reads_changes_nothing(desk: Desk, method: str, path: str, body: Any) -> None:
    now = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        for name in ("ada", "paula"):
            desk.tokens[name] = await users.new_token(
                connection, name, label="reads", scopes=(Scope.CLAIMS_READ,), at=now
            )
    if path == "/v1/users/paula/tokens":  # of one's own a token issues what it may do itself
        path = "/v1/users/oscar/tokens"
    for name in ("ada", "paula"):
        refused = await ask(desk, method, path, name, body)
        assert refused.status_code == 403, (name, refused.text)


async def test_who_loses_the_role_meanwhile_changes_nothing(desk: Desk) -> None:
    """The route was entered with it; the transaction asks again."""
    from referral_rewards.api.dependencies import acting
    from referral_rewards.domain.errors import NotAllowed

    now = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        ada = await users.signed_in(connection, desk.tokens["ada"], now)
        await people.set_roles(connection, "ada", [Role.OPERATIONS], by="eve", at=now)

    async def change(connection: AsyncConnection, now: datetime) -> None:
        pytest.fail("nothing may be done")

    with pytest.raises(NotAllowed):
        await acting(desk.parts, ada, change, Role.ADMINISTRATOR)


async def test_acts_are_on_record_under_whoever_did_them(desk: Desk) -> None:
    await ask(desk, "POST", "/v1/users", "ada", {"name": "new", "roles": ["finance"], "email": "n@example.com"})
    issued = await ask(desk, "POST", "/v1/users/new/tokens", "ada", {"label": "laptop", "scopes": ["claims:read"]})
    await ask(desk, "DELETE", f"/v1/tokens/{issued.json()['id']}", "ada")
    await ask(desk, "POST", "/v1/blocklist", "ada", {"device": ["d1"], "why": "w"})
    await ask(desk, "POST", "/v1/programs", "paula", {"terms": NEWER})
    async with desk.database.transaction() as connection:
        acts = (await connection.execute(text("SELECT actor, act FROM audit_event ORDER BY id"))).all()
    assert [tuple(each) for each in acts if each.actor not in ("tester", "site")] == [
        *(("ada", "user.added"), ("ada", "token.issued"), ("ada", "token.revoked"), ("ada", "blocklist.extended")),
        ("paula", "program.published"),
    ]


async def test_nobody_changes_what_they_may_do_themselves(desk: Desk) -> None:
    refused = await ask(desk, "PUT", "/v1/users/ada/roles", "ada", {"roles": ["finance", "administrator"]})
    assert (refused.status_code, "you can't change your own roles" in refused.text) == (403, True)


async def test_one_knows_whose_token_it_is(desk: Desk) -> None:
    assert (await ask(desk, "GET", "/v1/me", "site")).json() == {
        "name": "site",
        "roles": [],
        "scopes": ["events:write"],
        "sources": ["*"],
        "types": ["*"],
    }
    assert (await ask(desk, "GET", "/v1/me", "paula")).json()["roles"] == ["program_owner"]


async def test_the_same_terms_again_change_nothing(desk: Desk) -> None:
    first = await ask(desk, "POST", "/v1/programs", "paula", {"terms": NEWER})
    again = await ask(desk, "POST", "/v1/programs", "paula", {"terms": NEWER})
    assert (first.status_code, first.json()["version"], again.status_code, again.json()["repeated"]) == (
        *(201, 2, 200),
        True,
    )
    assert (await ask(desk, "GET", "/v1/programs/acme-friends/terms", "fiona")).text == NEWER
    older = await ask(desk, "GET", "/v1/programs/acme-friends/terms?version=1", "fiona")
    assert older.text == PROGRAM
    assert (await ask(desk, "GET", "/v1/programs/acme-friends/terms?version=3", "fiona")).status_code == 404


async def test_terms_that_are_none_are_told_by_path(desk: Desk) -> None:
    wrong = PROGRAM.replace("currency: USD", "currency: XXQ\nmood: good")
    refused = await ask(desk, "POST", "/v1/programs", "paula", {"terms": wrong})
    assert refused.status_code == 422
    assert {each["where"] for each in refused.json()["problems"]} == {"currency", "mood"}


async def test_a_link_is_the_same_until_it_is_revoked(desk: Desk) -> None:
    await desk.referral("r1")

    async def given(**more: Any) -> str:
        answer = await ask(desk, "POST", "/v1/referrals/r1/status-links", "oscar", {"side": "referee", **more})
        return str(answer.json()["url"])

    first = await given()
    assert await given() == first
    assert (await desk.api.get(first)).status_code == 200
    newer = await given(revoke=True)
    assert newer != first
    assert (await desk.api.get(first)).status_code == 404
    assert (await desk.api.get(newer)).status_code == 200


async def test_a_simulation_says_how_far_it_is_and_what_came_of_it(desk: Desk) -> None:
    await desk.referral("r1")
    asked = {"terms": PROGRAM.replace('minimum: "50.00"', 'minimum: "90.00"'), "changed": True, "picture": True}
    answer = await ask(desk, "POST", "/v1/programs/acme-friends/simulations", "paula", asked)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    *progress, last = (httpx.Response(200, content=line).json() for line in answer.text.splitlines())
    assert all(each.keys() == {"progress"} for each in progress)
    assert last["simulation"]["changed"][0]["referral"] == "r1"
    assert last["picture"].startswith("<svg")


async def test_a_simulation_of_too_long_a_past_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referral_rewards.api.v1.programs.simulations.SECONDS_MAX", 0)
    await desk.referral("r1")
    answer = await ask(desk, "POST", "/v1/programs/acme-friends/simulations", "paula", {"terms": PROGRAM})
    last = httpx.Response(200, content=answer.text.splitlines()[-1]).json()
    assert "ask for a shorter period" in last["problem"]


@pytest.mark.parametrize(
    ("program", "more", "status"),
    [
        ("other", {}, 422),
        ("acme-friends", {"since": "2026-06-02", "until": "2026-06-02"}, 422),
        ("acme-friends", {"since": "june"}, 422),
    ],
)
async def test_what_can_not_be_simulated_is_refused_before_anything_is_computed(
    desk: Desk, program: str, more: dict[str, str], status: int
) -> None:
    asked = {"terms": PROGRAM, **more}
    answer = await ask(desk, "POST", f"/v1/programs/{program}/simulations", "paula", asked)
    assert answer.status_code == status


async def test_what_another_person_can_decide_is_asked_for_by_name(desk: Desk) -> None:
    await desk.referral("r1")

    async def waiting(name: str) -> list[str]:
        answer = await ask(desk, "GET", f"/v1/claims?for={name}", "ada")
        return [each["referral"] for each in answer.json()["claims"]]

    assert (await waiting("paula"), await waiting("fiona")) == (["r1"], [])
    assert (await ask(desk, "GET", "/v1/claims?for=nobody", "ada")).status_code == 404
