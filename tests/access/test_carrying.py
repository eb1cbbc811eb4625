"""What was typed before a session was found to be over: it is kept, shown, and sent by its sender alone."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.api.desk.session.visiting import SESSION_COOKIE
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import sessions
from tests.access.browsing import PASSWORD, form, forms, give_password, stranger
from tests.access.test_audit import record
from tests.desk import Browser, Desk

NOTE = 'looked at it <script>alert(1)</script> "twice"\nand again'


async def expire(desk: Desk) -> None:
    """Ends every session, as time does."""
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE session SET expires_at = began_at"))


async def typed_too_late(desk: Desk, browser: Browser, path: str = "/account/tokens") -> httpx.Response:
    await expire(desk)
    return await browser.send(
        path, label="a label of mine", scope=["claims:read", "claims:decide"], days="7", note=NOTE
    )


async def test_what_was_typed_goes_through_signing_in_and_is_sent_once_more(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with desk.browser("paula") as browser:
        page = await typed_too_late(desk, browser)
        assert page.status_code == 401
        assert "Your session had ended" in page.text
        assert "a label of mine" in page.text
        assert "<script>alert" not in page.text
        fields = {**form(page, "/sign-in").fields, "name": "paula"}
        wrong = await browser.client.post("/sign-in", data={**fields, "password": "wrong"})
        assert "a label of mine" in wrong.text, "a slip of the finger loses nothing either"
        shown = await browser.client.post(
            "/sign-in", data={**form(wrong, "/sign-in").fields, "name": "paula", "password": PASSWORD}
        )
        assert (shown.status_code, "Send it now?" in shown.text) == (200, True)
        assert await record(desk, "token.issued") == [], "nothing is applied by itself"
        again = form(shown, "/account/tokens")
        assert again.fields["note"] == NOTE
        assert again.fields["csrf"] != browser.csrf
        done = await browser.client.post(again.action, data={**again.fields, "scope": ["claims:read"]})
        assert done.status_code == 201
    assert len(await record(desk, "token.issued")) == 1


async def test_whoever_signs_in_by_another_tab_goes_on_in_the_first(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        page = await typed_too_late(desk, browser)
        fields = form(page, "/sign-in").fields
        not_yet = await browser.client.post("/sign-in/continue", data=fields)
        assert "You are not signed in yet." in not_yet.text
        assert "a label of mine" in not_yet.text
        async with desk.database.transaction() as connection:
            token = await sessions.begin(connection, "paula", at=datetime.now(UTC), factor=Factor.NOT_ASKED)
        browser.client.cookies.clear(domain="")
        browser.client.cookies.set(SESSION_COOKIE, token)
        shown = await browser.client.post("/sign-in/continue", data=fields)
        assert form(shown, "/account/tokens").fields["label"] == "a label of mine"


async def test_a_form_that_another_site_had_sent_is_not_carried(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        await expire(desk)
        for fields in ({}, {"csrf": "0" * 64}, {"csrf": ""}):
            page = await browser.client.post("/account/tokens", data={"label": "planted", **fields})
            assert (page.status_code, "planted" in page.text) == (401, False)
    async with stranger(desk.app) as without_cookie:
        page = await without_cookie.post("/account/tokens", data={"label": "planted", "csrf": "0" * 64})
        assert (page.status_code, "planted" in page.text) == (401, False)


@pytest.mark.parametrize(
    ("to", "fields"),
    [
        ("//evil.example", "[]"),
        ("https://evil.example/x", "[]"),
        ("/sign-out", "[]"),
        ("/account/tokens", "nonsense"),
        ("/account/tokens", "[1, 2]"),
        ("/account/tokens", r'[["a", "\ud800"]]'),
        ("/account/tokens", '{"a": "b"}'),
        ("/account/tokens", "[" * 5000),
        ("/account/tokens", json.dumps([["a", "b" * 300_000]])),
        ("/account/tokens", json.dumps([["a", "b"]] * 3000)),
        ("", "[]"),
    ],
)
async def test_what_was_tampered_with_is_let_go(desk: Desk, to: str, fields: str) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as client:
        own = form(await client.get("/sign-in"), "/sign-in").fields
        planted = {**own, "carried_to": to, "carried_fields": fields, "name": "paula", "password": PASSWORD}
        done = await client.post("/sign-in", data=planted)
        assert (done.status_code, done.headers["Location"]) == (303, "/queue")


async def test_what_is_too_large_is_let_go_and_said_so(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        await expire(desk)
        page = await browser.send("/account/tokens", label="x" * 250_000)
        assert "could not be kept" in page.text
        assert len(page.text) < 20_000


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/password", {"current": "a secret of mine", "new": "a new secret", "again": "a new secret"}),
        ("/people/paula/password", {"password": "a secret of mine"}),
    ],
)
async def test_a_password_stands_in_no_page(desk: Desk, path: str, fields: dict[str, str]) -> None:
    async with desk.browser("ada") as browser:
        await expire(desk)
        page = await browser.send(path, **fields)
        assert "could not be kept" in page.text
        assert "secret" not in page.text


async def test_where_it_goes_is_said_to_whoever_may_not_have_typed_it(desk: Desk) -> None:
    await give_password(desk, "ada")
    async with desk.browser("paula") as browser:
        await expire(desk)
        page = await browser.send("/people/paula/roles", role="finance")
        fields = {**form(page, "/sign-in").fields, "name": "ada", "password": PASSWORD}
        shown = await browser.client.post("/sign-in", data=fields)
        assert "<code>/people/paula/roles</code>" in shown.text


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/continue", "/account/tokens", "/status/x/appeal"])
async def test_half_a_character_in_a_form_is_refused_with_a_sentence(desk: Desk, path: str) -> None:
    """A form may name its encoding, and in one of them half of a surrogate pair can stand."""
    body = b'--B\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\\ud800\r\n--B--\r\n'
    kind = "multipart/form-data; boundary=B; charset=unicode_escape"
    async with stranger(desk.app, cookies={SESSION_COOKIE: "over"}) as client:
        answer = await client.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 422
        assert "surrogate" in answer.text


async def test_a_token_of_the_session_before_is_never_carried(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        page = await typed_too_late(desk, browser)
        assert browser.csrf not in page.text
        assert len([each for each in forms(page) if each.action == "/sign-in"]) == 1


async def test_who_was_barred_meanwhile_sends_nothing(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with desk.browser("paula") as browser:
        async with desk.database.transaction() as connection:
            await people.bar(connection, "paula", by="ada", at=datetime.now(UTC))
        page = await browser.send("/account/tokens", label="x", scope="claims:read", days="7")
        fields = form(page, "/sign-in").fields
        refused = await browser.client.post("/sign-in", data={**fields, "name": "paula", "password": PASSWORD})
        assert refused.status_code == 401
