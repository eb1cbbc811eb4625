"""Signing in with a password: who gets in, who does not, and what an attacker learns."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.api.desk.session.carried import own_address
from referral_rewards.api.desk.session.visiting import SESSION_COOKIE, csrf_of
from referral_rewards.domain.errors import NotSignedIn, TooManyAttempts
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import attempts, sessions, users
from tests.access.browsing import PASSWORD, form, give_password, sign_in, stranger
from tests.access.test_audit import record
from tests.desk import PEPPER, Desk

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


async def test_whoever_knows_the_password_is_led_back_to_where_they_wanted_to_go(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as client:
        asked = await client.get("/audit?actor=paula")
        assert (asked.status_code, asked.headers["Location"]) == (303, "/sign-in?return_to=/audit%3Factor%3Dpaula")
        page = await client.get(asked.headers["Location"])
        fields = form(page, "/sign-in").fields
        assert fields["return_to"] == "/audit?actor=paula"
        done = await client.post("/sign-in", data={**fields, "name": "paula", "password": PASSWORD})
        assert (done.status_code, done.headers["Location"]) == (303, "/audit?actor=paula")
        cookie = done.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie, "loopback speaks plain HTTP"
        again = await client.get("/sign-in?return_to=/account")
        assert again.headers["Location"] == "/account", "who is signed in goes on"
    assert await record(desk, "session.begun") == [("paula", "session.begun", "paula", {"way": "password"})]


async def test_the_bare_address_leads_to_work(desk: Desk) -> None:
    async with desk.browser("paula") as browser, stranger(desk.app) as client:
        assert (await browser.get("/")).headers["Location"] == "/queue"
        assert (await client.get("/")).headers["Location"] == "/sign-in?return_to=/"


async def test_over_https_the_browser_keeps_the_cookies_to_our_origin(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app, base="https://desk.example.com") as client:
        done = await sign_in(client, "paula")
        assert done.status_code == 303
        assert [each.name for each in client.cookies.jar if each.secure] == [
            *("__Host-referrals_sign_in", "__Host-referrals_session", "__Host-referrals_known")
        ]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("paula", "correct horse batterY"),
        ("paula", ""),
        ("Paula", PASSWORD),
        ("nobody-there", PASSWORD),
        ("oscar", PASSWORD),
        ("paula\x00", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("site", PASSWORD),
        ("", ""),
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(desk: Desk, name: str, password: str) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as client:
        answer = await sign_in(client, name, password)
        assert answer.status_code == 401
        assert "Wrong name or password." in answer.text
        assert SESSION_COOKIE not in client.cookies
    ((actor, _, subject, _),) = await record(desk, "session.refused")
    assert (actor, subject) == ("nobody", name if name in ("paula", "oscar", "site") else "unknown")


async def test_a_password_that_was_hashed_by_older_parameters_is_hashed_anew(desk: Desk) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE app_user SET password_hash = :h WHERE name = 'paula'"), {"h": old})
    async with stranger(desk.app) as client:
        assert (await sign_in(client, "paula")).status_code == 303
    async with desk.database.transaction() as connection:
        kept = (await connection.execute(text("SELECT password_hash FROM app_user WHERE name = 'paula'"))).scalar_one()
    assert kept.startswith("$argon2id$")
    assert kept != old


async def test_nobody_is_signed_in_by_a_form_of_another_site(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as attacker, stranger(desk.app) as victim:
        planted = form(await attacker.get("/sign-in"), "/sign-in").fields
        own = form(await victim.get("/sign-in"), "/sign-in").fields
        for token in (planted["csrf"], "", "0" * 64, own["csrf"][:-1]):
            answer = await victim.post("/sign-in", data={"csrf": token, "name": "paula", "password": PASSWORD})
            assert (answer.status_code, SESSION_COOKIE in victim.cookies) == (200, False), token
    async with stranger(desk.app) as without_cookie:
        await without_cookie.post("/sign-in", data={**own, "name": "paula", "password": PASSWORD})
        assert SESSION_COOKIE not in without_cookie.cookies


async def test_a_session_that_was_planted_is_not_the_one_that_signing_in_begins(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with desk.database.transaction() as connection:
        planted = await sessions.begin(connection, "oscar", at=datetime.now(UTC))
    async with stranger(desk.app) as client:
        shown = form(await client.get("/sign-in"), "/sign-in").fields
        client.cookies.set(SESSION_COOKIE, planted)
        done = await client.post("/sign-in", data={**shown, "name": "paula", "password": PASSWORD})
        assert done.status_code == 303
    async with desk.database.transaction() as connection:
        with pytest.raises(NotSignedIn):
            await sessions.visitor(connection, planted, at=datetime.now(UTC))


async def test_after_signing_out_a_stolen_cookie_opens_nothing(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        stolen = browser.client.cookies[SESSION_COOKIE]
        out = await browser.send("/sign-out")
        assert out.headers["Location"] == "/sign-in?out=true"
        assert "Max-Age=0" in out.headers["Set-Cookie"]
    async with stranger(desk.app, cookies={SESSION_COOKIE: stolen}) as thief:
        assert (await thief.get("/account")).headers["Location"].startswith("/sign-in")


async def test_signing_out_needs_a_form_of_ours(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": csrf_of("another")}):
            assert (await browser.client.post("/sign-out", data=fields)).status_code == 403
        assert (await browser.client.get("/sign-out")).status_code == 405
        assert SESSION_COOKIE in browser.client.cookies


@pytest.mark.parametrize(
    ("used_after", "asked_after", "holds"),
    [
        ([], timedelta(minutes=30) - timedelta(microseconds=1), True),
        ([], timedelta(minutes=30), False),
        ([timedelta(minutes=29)], timedelta(minutes=58), True),
        ([timedelta(minutes=25 * n) for n in range(1, 29)], timedelta(hours=12) - timedelta(microseconds=1), True),
        ([timedelta(minutes=25 * n) for n in range(1, 29)], timedelta(hours=12), False),
    ],
)
async def test_a_session_ends_unused_after_half_an_hour_and_used_after_a_working_day(
    desk: Desk, used_after: list[timedelta], asked_after: timedelta, holds: bool
) -> None:
    async with desk.database.transaction() as connection:
        token = await sessions.begin(connection, "paula", at=NOW)
        for used in used_after:
            await sessions.visitor(connection, token, at=NOW + used)
        if holds:
            assert (await sessions.visitor(connection, token, at=NOW + asked_after)).name == "paula"
        else:
            with pytest.raises(NotSignedIn):
                await sessions.visitor(connection, token, at=NOW + asked_after)


async def test_roles_that_are_taken_and_bars_act_in_the_middle_of_a_session(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        token = await sessions.begin(connection, "paula", at=NOW)
        assert (await sessions.visitor(connection, token, at=NOW)).roles == {Role.PROGRAM_OWNER}
        await connection.execute(text("UPDATE app_user SET roles = '{}' WHERE name = 'paula'"))
        assert (await sessions.visitor(connection, token, at=NOW)).roles == frozenset()
        await users.bar(connection, "paula", at=NOW)
        with pytest.raises(NotSignedIn):
            await sessions.visitor(connection, token, at=NOW)


MARKER = Marker(PEPPER)


async def fail(
    desk: Desk, at: datetime, *, name: str = "paula", address: str = "192.0.2.1", browsers_pass: str | None = None
) -> attempts.Attempt:
    async with desk.database.transaction() as connection:
        return await attempts.begin(connection, MARKER, name=name, address=address, at=at, browsers_pass=browsers_pass)


@pytest.mark.parametrize("browsers_pass", [None, attempts.new_pass(MARKER, "paula")], ids=["stranger", "known browser"])
async def test_a_name_is_guessed_at_five_times_in_a_quarter_of_an_hour(desk: Desk, browsers_pass: str | None) -> None:
    for number in range(5):
        attempt = await fail(desk, NOW + timedelta(minutes=number), browsers_pass=browsers_pass)
        assert attempt.last == (("name",) if number == 4 else ())
    with pytest.raises(TooManyAttempts) as limited:
        await fail(desk, NOW + timedelta(minutes=5), browsers_pass=browsers_pass)
    assert limited.value.retry_after_seconds == 600
    with pytest.raises(TooManyAttempts):
        await fail(desk, NOW + timedelta(minutes=15) - timedelta(microseconds=1), browsers_pass=browsers_pass)
    await fail(desk, NOW + timedelta(minutes=15), browsers_pass=browsers_pass)
    with pytest.raises(TooManyAttempts):
        await fail(desk, NOW + timedelta(minutes=15), browsers_pass=browsers_pass)


async def test_strangers_at_another_address_lock_nobody_out(desk: Desk) -> None:
    for _ in range(5):
        await fail(desk, NOW, address="192.0.2.66")
    await fail(desk, NOW, address="192.0.2.1")


async def test_from_everywhere_a_name_is_guessed_at_a_hundred_times_and_a_known_browser_goes_on(desk: Desk) -> None:
    for number in range(100):
        await fail(desk, NOW, address=f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts):
        await fail(desk, NOW, address="192.0.2.200")
    await fail(desk, NOW, address="192.0.2.200", browsers_pass=attempts.new_pass(MARKER, "paula"))


@pytest.mark.parametrize(
    "forged",
    [
        attempts.new_pass(MARKER, "oscar"),
        attempts.new_pass(Marker(b"another pepper, as long as ours"), "paula"),
        *("", ".", "a.b", "é.é", attempts.new_pass(MARKER, "paula") + "0"),
    ],
    ids=["of another name", "by another pepper", "empty", "a dot", "too short", "no ASCII", "too long"],
)
async def test_a_pass_counts_for_its_own_name_and_only_if_it_is_ours(desk: Desk, forged: str) -> None:
    for _ in range(5):
        await fail(desk, NOW, browsers_pass=forged)
    with pytest.raises(TooManyAttempts):
        await fail(desk, NOW)


async def test_whoever_signed_in_before_signs_in_again_while_strangers_guess(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as known, stranger(desk.app) as guessing:
        assert (await sign_in(known, "paula")).status_code == 303
        known.cookies.delete(SESSION_COOKIE)
        for _ in range(6):
            limited = await sign_in(guessing, "paula", "wrong")
        assert limited.status_code == 429, "from the same address, as behind one proxy"
        assert (await sign_in(known, "paula")).status_code == 303


@pytest.mark.parametrize(
    "addresses",
    [["192.0.2.1"], ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::3"], ["192.0.2.7", "::ffff:192.0.2.7"], [""]],
)
async def test_an_address_guesses_twenty_times_whatever_the_names(desk: Desk, addresses: list[str]) -> None:
    for number in range(20):
        await fail(desk, NOW, name=f"n{number}", address=addresses[number % len(addresses)])
    with pytest.raises(TooManyAttempts):
        await fail(desk, NOW, name="another", address=addresses[0])
    await fail(desk, NOW, name="another", address="198.51.100.1")


async def test_a_right_password_clears_nothing_of_what_was_tried_before(desk: Desk) -> None:
    for number in range(19):
        await fail(desk, NOW, name=f"n{number}")
    right = await fail(desk, NOW, name="the-attackers-own")
    async with desk.database.transaction() as connection:
        await attempts.succeeded(connection, right)
    await fail(desk, NOW, name="n19")
    with pytest.raises(TooManyAttempts):
        await fail(desk, NOW, name="the-attackers-own")


async def test_attempts_at_one_moment_are_counted_one_by_one(desk: Desk) -> None:
    import asyncio

    results = await asyncio.gather(*(fail(desk, NOW) for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(each, TooManyAttempts) for each in results) == 7


async def test_too_many_attempts_are_refused_with_the_time_to_wait_and_noted_once(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as client:
        for _ in range(5):
            assert (await sign_in(client, "paula", "wrong")).status_code == 401
        for password in ("wrong", PASSWORD):
            limited = await sign_in(client, "paula", password)
            assert limited.status_code == 429
            # Of a quarter of an hour so much is left, however long the hashing took.
            assert 600 <= int(limited.headers["Retry-After"]) <= 900
            assert "Too many failed sign-in attempts" in limited.text
    refused = await record(desk, "session.refused")
    assert [details for *_, details in refused] == [
        *[{"way": "password"}] * 4,
        {"way": "password", "limited_by": ["name"]},
    ]
    async with desk.database.transaction() as connection:
        kept = (await connection.execute(text("SELECT key FROM sign_in_failure"))).scalars().all()
    assert not any("paula" in key or "192.0.2" in key for key in kept)


@pytest.mark.parametrize(
    ("wanted", "own"),
    [
        ("/queue", True),
        ("/queue?program=a&after=x%2Fy", True),
        ("/referrals/2026%2F07%2Fr1", True),
        ("/audit?next=//evil.example", True),
        ("", False),
        ("queue", False),
        ("//evil.example", False),
        ("///evil.example", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("/queue\\..\\evil", False),
        ("/.//evil.example", False),
        ("/..//evil.example", False),
        ("/x/../..//evil.example", False),
        ("https://evil.example", False),
        ("https:/evil.example", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        (" /queue", False),
        ("/queue ", False),
        ("/\t/evil.example", False),
        ("/\n/evil.example", False),
        ("/queue\r\nSet-Cookie: a=b", False),
        ("/queue\x00", False),
        ("/\u2028/evil.example", False),
        ("/@evil.example", True),
        ("/sign-in", False),
        ("/sign-in/openid", False),
        ("/sign-out", False),
        ("/" + "a" * 2000, False),
        (None, False),
    ],
)
def test_people_are_led_back_to_pages_of_ours_only(wanted: str | None, own: bool) -> None:
    assert own_address(wanted) == (wanted if own else None)


async def test_a_forged_form_can_not_lead_elsewhere_either(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as client:
        page = await client.get("/sign-in", params={"return_to": "//evil.example"})
        assert form(page, "/sign-in").fields["return_to"] == ""
        done = await sign_in(client, "paula", return_to="//evil.example")
        assert done.headers["Location"] == "/queue"


async def test_whoever_has_no_role_is_signed_in_and_told_so(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE app_user SET roles = '{}' WHERE name = 'paula'"))
    async with stranger(desk.app) as client:
        done = await sign_in(client, "paula", return_to="/queue")
        assert done.headers["Location"] == "/account"


def test_this_browser_sends_what_a_page_holds() -> None:
    page = httpx.Response(200, text='<form action="/x"><input name="a" value="1"></form><input name="b">')
    assert form(page, "/x").fields == {"a": "1"}
