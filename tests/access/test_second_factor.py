"""The second factor: who is asked for one, how it is set up, and that nothing goes without it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pyotp
import pytest
from sqlalchemy import text

from referral_rewards.api.desk.session.visiting import SESSION_COOKIE
from referral_rewards.domain.errors import FactorNeeded, NotAllowed, NotFound, NotSignedIn
from referral_rewards.domain.people.authority import Role, Scope
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.register.people import administration, factors, passwords, sessions
from referral_rewards.register.sealing import Sealer
from tests.access.browsing import PASSWORD, form, forms, give_password, sign_in, stranger
from tests.access.test_audit import record
from tests.desk import Desk

SEALER = Sealer([b"k" * 32])
#: Ends in a letter: no clock makes it right.
NO_CODE = "00000O"
HERE = "/account/second-factor"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """An installation that requires a second factor."""
    parts = replace(desk.parts, sealer=SEALER, second_factor_required=True)
    desk.parts = desk.app.state.parts = parts
    return desk


@dataclass(frozen=True)
class Phone:
    """An app that shows codes, and the sheet with recovery codes beside it."""

    secret: str
    recovery: tuple[str, ...]

    async def code(self, desk: Desk, name: str) -> str:
        """A code that was not used yet: as a step of time later."""
        async with desk.database.transaction() as connection:
            await connection.execute(text("UPDATE second_factor SET last_step = 0 WHERE username = :n"), {"n": name})
        return pyotp.TOTP(self.secret).now()


async def enrolled(desk: Desk, name: str) -> Phone:
    """Somebody who has a password and has set up a second factor."""
    await give_password(desk, name)
    async with desk.database.transaction() as connection:
        await factors.offer(connection, SEALER, name)
        secret = await factors.offered(connection, SEALER, name)
        assert secret is not None
        now = pyotp.TOTP(secret).now()
        codes = await factors.confirm(connection, SEALER, name, now, here="", at=datetime.now(UTC))
    return Phone(secret, codes)


async def show(client: httpx.AsyncClient, asked: httpx.Response, code: str) -> httpx.Response:
    """Sends the page that asks for a code."""
    return await client.post("/sign-in/code", data={**form(asked, "/sign-in/code").fields, "one_time_code": code})


@asynccontextmanager
async def asked_for_a_code(
    desk: Desk, name: str, address: str = "192.0.2.1"
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.Response]]:
    """A browser in which the right password was typed."""
    async with stranger(desk.app, address=address) as client:
        asked = await sign_in(client, name)
        assert (asked.status_code, SESSION_COOKIE in client.cookies) == (200, False)
        yield client, asked


async def test_whoever_may_decide_sets_one_up_before_anything_else(desk: Desk) -> None:
    await give_password(desk, "paula")
    async with stranger(desk.app) as client:
        assert (await sign_in(client, "paula", return_to="/programs")).headers["Location"] == "/programs"
        for path in ("/queue", "/claims/r1", "/account", "/people"):
            assert (await client.get(path)).headers["Location"] == f"{HERE}?return_to={path}"
        page = await client.get(f"{HERE}?return_to=/programs")
        assert "Everybody who may decide needs a second factor." in page.text
        page = await client.post(f"{HERE}/offer", data=form(page, f"{HERE}/offer").fields)
        secret = "".join(re.findall(r"<code>([A-Z2-7 ]+)</code>", page.text)[0].split())
        assert 'src="data:image/svg+xml' in page.text
        fields = form(page, f"{HERE}/confirm").fields
        wrong = await client.post(f"{HERE}/confirm", data={**fields, "one_time_code": NO_CODE})
        assert (wrong.status_code, "not the code that your app shows" in wrong.text) == (422, True)
        assert (await client.get("/queue")).status_code == 303, "an offered secret is none yet"
        done = await client.post(f"{HERE}/confirm", data={**fields, "one_time_code": pyotp.TOTP(secret).now()})
        codes = re.findall(r"<code>([A-Z2-7 ]{19})</code>", done.text)
        assert len(set(codes)) == 10
        assert 'href="/programs"' in done.text
        assert (await client.get("/queue")).status_code == 200
        again = await client.get(HERE)
        assert "10 of 10 recovery codes are left" in again.text
        assert secret not in again.text.replace(" ", "")
        assert not any(code in again.text for code in codes)
    assert [act for _, act, _, _ in await record(desk, "user.factor_set")] == ["user.factor_set"]
    async with desk.database.transaction() as connection:
        kept = (await connection.execute(text("SELECT * FROM second_factor"))).one()
        hashes = (await connection.execute(text("SELECT code_hash FROM recovery_code"))).scalars().all()
    assert secret not in str(kept)
    assert not any("".join(code.split()) in str(hashes) for code in codes)


async def test_without_one_a_session_decides_nothing_even_where_no_page_is_asked(desk: Desk) -> None:
    now = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        token = await sessions.begin(connection, "paula", at=now)
        user = await sessions.visitor(connection, token, at=now)
        assert (user.lacks_factor, user.scopes) == (True, {Scope.CLAIMS_READ})
        with pytest.raises(FactorNeeded):
            await sessions.still(connection, user, at=now)
        await sessions.show_factor(connection, token, at=now)
        shown = await sessions.visitor(connection, token, at=now)
        assert (await sessions.still(connection, shown, at=now)).roles == {Role.PROGRAM_OWNER}


async def test_whoever_has_no_role_is_not_asked(desk: Desk) -> None:
    await desk.add_user("nina")
    await give_password(desk, "nina")
    async with stranger(desk.app) as client:
        await sign_in(client, "nina")
        assert (await client.get("/account")).status_code == 200
        async with desk.database.transaction() as connection:
            await administration.set_roles(connection, "nina", [Role.FINANCE], by="ada", at=datetime.now(UTC))
        assert (await client.get("/queue")).headers["Location"].startswith(HERE), "with the role comes the question"


async def test_the_code_signs_in_after_the_password_and_is_used_once(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    code = await phone.code(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await client.get("/queue")).headers["Location"].startswith("/sign-in"), "nobody is signed in yet"
        done = await show(client, asked, code)
        assert (done.status_code, done.headers["Location"]) == (303, "/queue")
        assert (await client.get("/queue")).status_code == 200
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await show(client, asked, code)).status_code == 401
        assert SESSION_COOKIE not in client.cookies
        for used in ("", NO_CODE, "paula", phone.secret):
            assert (await show(client, asked, used)).status_code == 401


async def test_a_recovery_code_works_once_and_the_record_says_how_many_are_left(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await show(client, asked, phone.recovery[3].lower())).status_code == 303
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await show(client, asked, phone.recovery[3])).status_code == 401
    assert (await record(desk, "user.recovery_code_used"))[0][3] == {"left": 9}


async def test_a_code_belongs_to_the_browser_in_which_the_password_was_typed(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked), stranger(desk.app) as thief:
        fields = form(asked, "/sign-in/code").fields
        own = form(await thief.get("/sign-in"), "/sign-in").fields
        for sent in (fields, own):
            answer = await thief.post("/sign-in/code", data={**sent, "one_time_code": await phone.code(desk, "paula")})
            assert (answer.status_code, SESSION_COOKIE in thief.cookies) == (200, False)
        assert (await show(client, asked, await phone.code(desk, "paula"))).status_code == 303
        again = await show(client, asked, await phone.code(desk, "paula"))
        assert "This took too long" in again.text, "the step is over once it led in"


@pytest.mark.parametrize("change", ["password", "bar", "late"])
async def test_a_password_that_was_shown_before_a_change_leads_nowhere(desk: Desk, change: str) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        async with desk.database.transaction() as connection:
            now = datetime.now(UTC)
            if change == "password":
                hashed = await passwords.hash_of("another horse battery")
                await administration.set_password(connection, "paula", hashed, by="ada", at=now)
            elif change == "bar":
                await administration.bar(connection, "paula", by="ada", at=now)
            else:
                await connection.execute(text("UPDATE sign_in_step SET expires_at = :at"), {"at": now})
        assert "This took too long" in (await show(client, asked, await phone.code(desk, "paula"))).text
        assert SESSION_COOKIE not in client.cookies


async def test_five_wrong_codes_stop_guessing_at_that_address(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        for _ in range(5):
            assert (await show(client, asked, NO_CODE)).status_code == 401
        limited = await show(client, asked, await phone.code(desk, "paula"))
        assert (limited.status_code, "Retry-After" in limited.headers) == (429, True)
        assert (await sign_in(client, "paula")).status_code == 429, "a wrong code costs as much as a wrong password"
    refused = await record(desk, "session.refused")
    assert {details["way"] for _, _, _, details in refused} == {"second_factor"}


async def test_whoever_knows_the_password_has_ten_codes_from_everywhere_and_locks_no_known_browser_out(
    desk: Desk,
) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (own, asked):
        await show(own, asked, await phone.code(desk, "paula"))
        guessed = 0
        for host in range(1, 8):
            async with asked_for_a_code(desk, "paula", f"198.51.100.{host}") as (thief, asked):
                while (await show(thief, asked, NO_CODE)).status_code == 401 and guessed < 20:
                    guessed += 1
        assert guessed == 10
        await own.get("/sign-in?out=true")
        own.cookies.delete(SESSION_COOKIE)
        asked = await sign_in(own, "paula")
        assert (await show(own, asked, await phone.code(desk, "paula"))).status_code == 303


async def test_strangers_without_the_password_count_nothing_at_the_second_step(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    for host in range(1, 15):
        async with stranger(desk.app, address=f"198.51.100.{host}") as thief:
            shown = form(await thief.get("/sign-in"), "/sign-in").fields
            assert (await thief.post("/sign-in/code", data={**shown, "one_time_code": NO_CODE})).status_code == 200
            assert (await sign_in(thief, "paula", "wrong password")).status_code == 401
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await show(client, asked, await phone.code(desk, "paula"))).status_code == 303


async def test_of_two_who_show_one_code_at_one_moment_one_is_let_in(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    code, now = await phone.code(desk, "paula"), datetime.now(UTC)
    async with desk.database.transaction() as one:
        assert await factors.show(one, SEALER, "paula", code, at=now)
        async with desk.database.transaction() as other:
            await other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                await factors.show(other, SEALER, "paula", code, at=now)
    async with desk.database.transaction() as other:
        assert not await factors.show(other, SEALER, "paula", code, at=now)


async def test_with_a_provider_it_is_the_provider_s_matter(desk: Desk) -> None:
    await enrolled(desk, "paula")
    now = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        token = await sessions.begin(connection, "paula", at=now, factor=Factor.PROVIDER)
        assert not (await sessions.visitor(connection, token, at=now)).lacks_factor
        assert await sessions.is_fresh(connection, token, at=now)


async def test_a_token_that_may_decide_takes_a_fresh_code(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        await show(client, asked, phone.recovery[0])
        async with desk.database.transaction() as connection:
            await connection.execute(
                text("UPDATE session SET factor_at = :at"), {"at": datetime.now(UTC) - timedelta(minutes=6)}
            )
        fields = form(await client.get("/account"), "/account/tokens").fields
        asked = {**fields, "label": "cli", "days": "30", "scope": ["claims:read", "claims:decide"]}
        for code in ("", NO_CODE):
            refused = await client.post("/account/tokens", data={**asked, "one_time_code": code})
            assert (refused.status_code, "rrt_" in refused.text) == (422, False)
        reads = await client.post("/account/tokens", data={**asked, "scope": "claims:read"})
        assert reads.status_code == 201
        issued = await client.post("/account/tokens", data={**asked, "one_time_code": await phone.code(desk, "paula")})
        assert (issued.status_code, "rrt_" in issued.text) == (201, True)
        page = await client.get("/account")
        assert "one_time_code" not in form(page, "/account/tokens").fields, "a moment later nobody is asked again"


async def test_no_administrator_issues_a_token_that_decides_for_somebody_else(desk: Desk) -> None:
    bearer = desk.bearer("ada")
    asked = {"label": "x", "scopes": ["claims:decide"]}
    refused = await desk.api.post("/v1/users/paula/tokens", json=asked, headers=bearer)
    assert (refused.status_code, "paula alone can issue a token that may decide" in refused.text) == (403, True)
    assert (await desk.api.post("/v1/users/paula/tokens", json={"label": "x"}, headers=bearer)).status_code == 403
    reads = await desk.api.post("/v1/users/paula/tokens", json={**asked, "scopes": ["claims:read"]}, headers=bearer)
    assert reads.status_code == 201
    added = await desk.api.post("/v1/users", json={"name": "mia", "roles": ["finance"]}, headers=bearer)
    mine = await desk.api.get("/v1/me", headers={"Authorization": f"Bearer {added.json()['token']}"})
    assert mine.json()["scopes"] == ["claims:read"]


async def test_another_phone_takes_a_code_of_the_one_before(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        await show(client, asked, phone.recovery[0])
        async with desk.database.transaction() as connection:
            await connection.execute(text("UPDATE session SET factor_at = factor_at - interval '6 minutes'"))
        page = await client.get(HERE)
        assert [each.action for each in forms(page) if each.action.startswith(HERE)] == [f"{HERE}/show"]
        sent = form(page, f"{HERE}/show").fields
        for act in ("offer", "confirm", "recovery-codes"):
            assert (await client.post(f"{HERE}/{act}", data=sent)).status_code == 422
        assert (await client.post(f"{HERE}/show", data={**sent, "one_time_code": NO_CODE})).status_code == 422
        await client.post(f"{HERE}/show", data={**sent, "one_time_code": await phone.code(desk, "paula")})
        renewed = await client.post(f"{HERE}/recovery-codes", data=sent)
        assert len(re.findall(r"<code>([A-Z2-7 ]{19})</code>", renewed.text)) == 10
        page = await client.post(f"{HERE}/offer", data=sent)
        assert form(page, f"{HERE}/confirm")
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await show(client, asked, phone.recovery[1])).status_code == 401, "renewed codes void the earlier"
        assert (await show(client, asked, await phone.code(desk, "paula"))).status_code == 303, "still the old phone"


async def test_an_administrator_resets_another_s_and_never_alone_what_signs_in(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    await enrolled(desk, "ada")
    await desk.add_user("alan", Role.ADMINISTRATOR)
    async with asked_for_a_code(desk, "paula") as (client, asked):
        await show(client, asked, await phone.code(desk, "paula"))
        own = await desk.api.delete("/v1/users/ada/second-factor", headers=desk.bearer("ada"))
        assert (own.status_code, "your own second factor" in own.text) == (403, True)
        assert (await desk.api.delete("/v1/users/paula/second-factor", headers=desk.bearer("oscar"))).status_code == 403
        done = await desk.api.delete("/v1/users/paula/second-factor", headers=desk.bearer("ada"))
        assert done.status_code == 204
        assert (await client.get("/queue")).headers["Location"].startswith("/sign-in"), "their sessions end"
    async with desk.database.transaction() as connection:
        now, hashed = datetime.now(UTC), await passwords.hash_of("another horse battery")
        with pytest.raises(NotAllowed, match="another administrator must set the password"):
            await administration.set_password(connection, "paula", hashed, by="ada", at=now)
        with pytest.raises(NotFound, match="there is no second factor of 'paula'"):
            await factors.reset(connection, "paula", by="alan", at=now)
    assert await record(desk, "user.factor_reset") == [("ada", "user.factor_reset", "paula", {})]
    async with stranger(desk.app) as client:
        await sign_in(client, "paula")
        assert "ada reset your second factor on" in (await client.get(HERE)).text


async def test_whoever_set_the_password_resets_no_second_factor(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        hashed = await passwords.hash_of(PASSWORD)
        await administration.set_password(connection, "paula", hashed, by="ada", at=datetime.now(UTC))
    await enrolled(desk, "paula")
    async with desk.database.transaction() as connection:
        with pytest.raises(NotAllowed, match="you set the password of paula"):
            await factors.reset(connection, "paula", by="ada", at=datetime.now(UTC))


async def test_a_secret_sealed_with_a_lost_key_lets_nobody_in_and_recovery_codes_do(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    desk.app.state.parts = replace(desk.parts, sealer=Sealer([b"x" * 32]))
    async with asked_for_a_code(desk, "paula") as (client, asked):
        failed = await show(client, asked, await phone.code(desk, "paula"))
        assert (failed.status_code, SESSION_COOKIE in client.cookies) == (503, False)
        assert (await show(client, asked, phone.recovery[0])).status_code == 303


async def test_where_none_is_required_whoever_has_one_is_asked_all_the_same(desk: Desk) -> None:
    phone = await enrolled(desk, "paula")
    await give_password(desk, "oscar")
    desk.app.state.parts = replace(desk.parts, second_factor_required=False)
    async with asked_for_a_code(desk, "paula") as (client, asked):
        assert (await show(client, asked, await phone.code(desk, "paula"))).status_code == 303
    async with stranger(desk.app) as client:
        await sign_in(client, "oscar")
        assert (await client.get("/queue")).status_code == 200


async def test_a_restarted_session_can_t_be_shown_by_its_step(desk: Desk) -> None:
    await enrolled(desk, "paula")
    async with asked_for_a_code(desk, "paula") as (client, _):
        (step,) = [each.value for each in client.cookies.jar if each.name == "referrals_code"]
        assert step is not None
        async with desk.database.transaction() as connection:
            with pytest.raises(NotSignedIn):
                await sessions.visitor(connection, step, at=datetime.now(UTC))
