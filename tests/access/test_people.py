"""Looking after people on the desk: only administrators do, nobody for themselves, and each act is on record."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import users
from tests.access.browsing import give_password, sign_in, stranger
from tests.access.test_audit import record
from tests.desk import Desk, marks

ACTS = (
    *("roles", "marks", "contact", "password", "no-password", "reset-second-factor", "end-sessions"),
    *("link", "unlink", "bar", "unbar", "confirm"),
    "tokens/00000000-0000-0000-0000-000000000000/revoke",
)


async def person(desk: Desk, name: str) -> Any:
    async with desk.database.transaction() as connection:
        return await people.one(connection, name)


@pytest.mark.parametrize("user", ["paula", "fiona", "oscar"])
async def test_only_administrators_look_after_people(desk: Desk, user: str) -> None:
    async with desk.browser(user) as browser:
        assert (await browser.get("/people")).status_code == 403
        assert (await browser.get("/people/paula")).status_code == 403
        assert (await browser.send("/people", name="eve", role="finance")).status_code == 403
        for act in ACTS:
            assert (await browser.send(f"/people/{user}/{act}", role="administrator")).status_code == 403, act
    assert await record(desk, "user.added", "user.roles_set") == []


async def test_no_form_is_taken_that_our_pages_did_not_hand_out(desk: Desk) -> None:
    async with desk.browser("ada") as browser:
        for path in ("/people", *(f"/people/paula/{act}" for act in ACTS), "/account/tokens", "/account/sessions/end"):
            for fields in ({}, {"csrf": "0" * 64}):
                answer = await browser.client.post(path, data={"role": "finance", "name": "eve", **fields})
                assert answer.status_code == 403, path
    assert (await person(desk, "paula")).roles == ["program_owner"]


async def test_a_person_is_added_and_changed_and_all_of_it_is_on_record(desk: Desk) -> None:
    async with desk.browser("ada") as browser:
        added = await browser.send("/people", name="grace", role=["finance"])
        assert added.headers["Location"] == "/people/grace"
        for act, fields in [
            ("roles", {"role": ["operations", "finance"]}),
            ("marks", {"email": "grace@example.com"}),
            ("contact", {"contact": "grace@example.com"}),
            ("password", {"password": "correct horse battery"}),
            ("link", {"issuer": "https://id.example.com", "subject": "1"}),
            ("end-sessions", {}),
            ("bar", {}),
            ("unbar", {}),
        ]:
            assert (await browser.send(f"/people/grace/{act}", **fields)).status_code == 303, act
        page = (await browser.get("/people/grace?done=true")).text
        assert "Saved." in page
    found = await person(desk, "grace")
    assert (found.roles, found.mark_kinds, found.has_contact) == (["finance", "operations"], ["email"], True)
    assert (found.has_password, found.identities, found.barred_at) == (True, 1, None)
    assert [(actor, act) for actor, act, *_ in await record(desk) if actor == "ada"] == [
        ("ada", f"user.{act}") for act in ("added", "roles_set", "marks_set", "contact_set", "password_set", "linked")
    ] + [("ada", "session.all_ended"), ("ada", "user.barred"), ("ada", "user.unbarred")]
    assert "example.com" not in str([row for row in await record(desk) if row[1] != "user.linked"])


@pytest.mark.parametrize("act", ["roles", "marks", "bar", "unbar"])
async def test_nobody_changes_what_they_may_do_themselves(desk: Desk, act: str) -> None:
    async with desk.browser("ada") as browser:
        refused = await browser.send(f"/people/ada/{act}", role="finance", email="other@example.com", forget="true")
        assert refused.status_code == 403
        assert "ask another administrator" in refused.text
    assert (await person(desk, "ada")).roles == ["administrator"]


@pytest.mark.parametrize(
    ("path", "fields", "problem"),
    [
        ("/people", {"name": "paula"}, "There is already a user"),
        ("/people", {"name": "p@example.com"}, "Looks like an email address"),
        ("/people", {"name": ""}, "An id is 1 to 200 characters"),
        ("/people", {"name": "a\x00b"}, "zero character"),
        ("/people", {"name": "eve", "role": "king"}, "Choose a role from finance,"),
        ("/people/paula/roles", {"role": "king"}, "Choose a role from finance,"),
        ("/people/paula/marks", {"email": "nowhere"}, "Enter a customer id or an email"),
        ("/people/paula/contact", {"contact": "nowhere"}, "Not a valid email address"),
        ("/people/paula/password", {"password": "short"}, "at least 12 characters"),
        ("/people/paula/link", {"issuer": "https://x"}, "Enter the issuer URL"),
    ],
)
async def test_what_is_wrong_is_said_on_the_page(desk: Desk, path: str, fields: dict[str, str], problem: str) -> None:
    async with desk.browser("ada") as browser:
        refused = await browser.send(path, **fields)
        assert refused.status_code == 422
        assert problem in refused.text


async def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    async with desk.browser("ada") as browser:
        assert (await browser.get("/people/who")).status_code == 404
        assert (await browser.get("/people/a%00b")).status_code == 404
        assert (await browser.send("/people/who/bar")).status_code == 404
        assert (await browser.send("/people/paula/crown")).status_code == 404


async def test_one_s_password_is_changed_by_whoever_knows_it_and_other_sessions_end(desk: Desk) -> None:
    await give_password(desk, "paula")
    fresh = {"new": "four plain words here", "again": "four plain words here"}
    async with desk.browser("paula") as here, desk.browser("paula") as elsewhere:
        for fields, problem in [
            ({**fresh, "current": "wrong"}, "The current password is wrong."),
            ({**fresh, "current": "correct horse battery", "again": "x"}, "are not the same"),
            ({"new": "short", "again": "short", "current": "correct horse battery"}, "at least 12"),
        ]:
            refused = await here.send("/account/password", **fields)
            assert (refused.status_code, problem in refused.text) == (422, True), problem
        done = await here.send("/account/password", **fresh, current="correct horse battery")
        assert done.headers["Location"] == "/account?done=password"
        assert (await here.get("/account")).status_code == 200
        assert (await elsewhere.get("/account")).status_code == 303
    async with stranger(desk.app) as client:
        assert (await sign_in(client, "paula", "four plain words here")).status_code == 303


async def test_one_signs_out_everywhere_else(desk: Desk) -> None:
    async with desk.browser("paula") as here, desk.browser("paula") as elsewhere:
        assert (await here.send("/account/sessions/end")).status_code == 303
        assert (await here.get("/account")).status_code == 200
        assert (await elsewhere.get("/account")).status_code == 303


async def test_a_token_does_what_its_scopes_say_and_no_more(desk: Desk) -> None:
    await desk.referral("a")
    async with desk.browser("paula") as browser:
        page = await browser.send("/account/tokens", label="reports", scope="claims:read", days="7")
        assert page.status_code == 201
        token = page.text.split("<code>rrt_")[1].split("<")[0]
        desk.tokens["reader"] = f"rrt_{token}"
        assert token not in (await browser.get("/account")).text, "it is shown once"
    assert (await desk.get("/v1/claims", as_="reader")).status_code == 200
    assert (await desk.decide("a", "hold", as_="reader")).status_code == 403
    async with desk.database.transaction() as connection:
        await people.set_roles(connection, "paula", [], by="ada", at=datetime.now(UTC))
    assert (await desk.get("/v1/claims", as_="reader")).status_code == 403, "nor than its user may"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"label": "", "scope": "claims:read", "days": "7"}, "Enter a purpose of at most 80 characters"),
        ({"label": "x" * 81, "scope": "claims:read", "days": "7"}, "Enter a purpose of at most 80 characters"),
        ({"label": "x", "days": "7"}, "Choose at least one"),
        ({"label": "x", "scope": "all", "days": "7"}, "Choose scopes from"),
        ({"label": "x", "scope": "claims:read", "days": "99999"}, "Choose 90, 7, 30 or 365 days."),
        ({"label": "x", "scope": "claims:read", "days": "²"}, "Choose 90, 7, 30 or 365 days."),
    ],
)
async def test_a_token_that_can_not_be_had_is_refused_with_the_reason(
    desk: Desk, fields: dict[str, str], problem: str
) -> None:
    async with desk.browser("paula") as browser:
        refused = await browser.send("/account/tokens", **fields)
        assert (refused.status_code, problem in refused.text) == (422, True)


async def test_a_token_issues_none_that_may_more_or_lasts_longer(desk: Desk) -> None:
    def wanted(scopes: list[str], days: float) -> dict[str, Any]:
        return {"label": "x", "scopes": scopes, "expires_at": (datetime.now(UTC) + timedelta(days=days)).isoformat()}

    async def issue(as_: str, scopes: list[str], days: float) -> Any:
        return await desk.api.post("/v1/tokens", json=wanted(scopes, days), headers=desk.bearer(as_))

    issued = await issue("paula", ["claims:read"], 30)
    assert issued.status_code == 201
    desk.tokens["reader"] = issued.json()["token"]
    for scopes, days, status in [
        (["claims:read"], 29, 201),
        (["claims:read"], 31, 403),
        (["claims:decide"], 1, 403),
        (["claims:read"], 400, 422),
        (["claims:read"], -1, 422),
        ([], 1, 422),
    ]:
        assert (await issue("reader", scopes, days)).status_code == status, (scopes, days)
    assert (await issue("paula", ["events:write"], 1)).status_code == 403
    assert (await issue("site", ["events:write"], 1)).status_code == 201


async def test_what_a_token_issued_ends_with_it(desk: Desk) -> None:
    """Whoever got hold of a token keeps nothing of it once it is revoked."""
    ends_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    asked = {"label": "x", "scopes": ["claims:read"], "expires_at": ends_at}
    line = [{"id": "", "token": desk.tokens["paula"]}]
    for _ in range(3):
        bearer = {"Authorization": f"Bearer {line[-1]['token']}"}
        line.append((await desk.api.post("/v1/tokens", json=asked, headers=bearer)).json())
    async with desk.browser("paula") as browser:
        await browser.send(f"/account/tokens/{line[1]['id']}/revoke")
    answers = [
        (await desk.api.get("/v1/claims", headers={"Authorization": f"Bearer {each['token']}"})).status_code
        for each in line
    ]
    assert answers == [200, 401, 401, 401]
    assert {row[3]["token"] for row in await record(desk, "token.revoked")} == {each["id"] for each in line[1:]}


async def test_one_s_own_tokens_are_listed_and_revoked_and_nobody_else_s(desk: Desk) -> None:
    (paulas,) = (await desk.get("/v1/tokens")).json()
    assert (paulas["label"], paulas["scopes"]) == ("first", ["claims:decide", "claims:read"])
    path = f"/v1/tokens/{paulas['id']}"
    assert (await desk.api.delete(path, headers=desk.bearer("oscar"))).status_code == 404
    async with desk.browser("oscar") as browser:
        assert (await browser.send(f"/account/tokens/{paulas['id']}/revoke")).status_code == 404
    async with desk.browser("ada") as browser:
        assert (await browser.send(f"/people/oscar/tokens/{paulas['id']}/revoke")).status_code == 404
        assert (await browser.send(f"/people/paula/tokens/{paulas['id']}/revoke")).status_code == 303
    assert (await desk.get("/v1/tokens")).status_code == 401
    async with desk.database.transaction() as connection:
        await users.new_token(connection, "paula", label="2", scopes=[], at=datetime.now(UTC))
    assert [row[0] for row in await record(desk, "token.revoked")] == ["ada"]


async def test_who_did_what_is_read_newest_first_and_filtered(desk: Desk) -> None:
    await desk.add_user("reader", Role.OPERATIONS, marks=marks(customer="c-r"))
    async with desk.browser("ada") as browser:
        for name in ("n1", "n2", "n3"):
            await browser.send("/people", name=name, role="finance")
        page = (await browser.get("/audit?actor=ada&act=user")).text
        assert page.index("n3") < page.index("n2") < page.index("n1")
        assert (await browser.get("/audit?subject=n2&act=user.added")).text.count("<time") == 1
        assert "No entries match these filters." in (await browser.get("/audit?actor=who")).text
        assert (await browser.get("/audit?actor=%00")).status_code == 422
    first = (await desk.get("/v1/audit?limit=2&act=user", as_="reader")).json()
    second = (await desk.get(f"/v1/audit?limit=2&act=user&after={first['next']}", as_="reader")).json()
    assert [each["subject"] for each in first["events"] + second["events"]] == ["n3", "n2", "n1"]
    assert second["next"] is None
    assert (await desk.get("/v1/audit", as_="site")).status_code == 403
