"""Signing in with an OpenID provider: a real one, and one that lies."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import text

from referral_rewards.api.desk.session.visiting import SESSION_COOKIE
from referral_rewards.api.openid import Provider
from referral_rewards.domain.errors import BadInput, RequestInvalid
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import sessions, users
from referral_rewards.register.people.users import User
from tests.access.browsing import stranger
from tests.access.provider import LyingProvider, lying_provider
from tests.access.test_audit import record
from tests.access.test_people import person
from tests.desk import Desk, marks

CALLBACK = "http://desk/sign-in/openid/callback"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider here is silent for long: what it is waited for is for a busy machine."""
    monkeypatch.setattr("referral_rewards.api.openid._TIMEOUT_SECONDS", 60.0)


@pytest.fixture
def lying() -> Iterator[LyingProvider]:
    with lying_provider() as provider:
        yield provider


def app_with(desk: Desk, issuer: str, **how: Any) -> FastAPI:
    provider = Provider(issuer=issuer, client_id="desk", redirect_uri=CALLBACK, **how)
    desk.app.state.parts = replace(desk.parts, openid=provider)
    return desk.app


def app_for(desk: Desk, lying: LyingProvider, **how: Any) -> FastAPI:
    return app_with(desk, lying.issuer, **how)


async def begin(client: httpx.AsyncClient, lying: LyingProvider, return_to: str = "/queue", **claims: Any) -> str:
    """Goes to the provider, which will say this; the state to come back with."""
    gone = await client.get("/sign-in/openid", params={"return_to": return_to})
    assert gone.status_code == 303
    asked = {name: values[0] for name, values in parse_qs(urlsplit(gone.headers["Location"]).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == CALLBACK
    lying.challenge = asked["code_challenge"]
    now = int(datetime.now(UTC).timestamp())
    honest = {"iss": lying.issuer, "aud": "desk", "exp": now + 300, "iat": now, "nonce": asked["nonce"], "sub": "s1"}
    lying.claims = {name: value for name, value in {**honest, **claims}.items() if value is not None}
    return asked["state"]


async def come_back(client: httpx.AsyncClient, state: str, **more: str) -> httpx.Response:
    return await client.get("/sign-in/openid/callback", params={"state": state, "code": "c", **more})


async def signed_in(desk: Desk, client: httpx.AsyncClient) -> User:
    async with desk.database.transaction() as connection:
        return await sessions.visitor(connection, client.cookies[SESSION_COOKIE], at=datetime.now(UTC))


@pytest.mark.filterwarnings("ignore")  # of what it is built from
async def test_a_real_provider_signs_people_in(desk: Desk) -> None:
    import oidc_provider_mock

    claims = {"preferred_username": "grace", "email": "grace@example.com", "email_verified": True}
    person = oidc_provider_mock.User(sub="248289761001", claims=claims)
    with oidc_provider_mock.run_server_in_thread(user_claims=[person]) as server:
        issuer = f"http://localhost:{server.server_port}"
        app = app_with(desk, issuer, client_secret="s3cret")
        async with stranger(app) as client, httpx.AsyncClient() as outside:
            assert f"Sign in with localhost:{server.server_port}" in (await client.get("/sign-in")).text
            gone = await client.get("/sign-in/openid?return_to=/audit")
            consent = await outside.post(gone.headers["Location"], data={"sub": "248289761001"})
            back = urlsplit(consent.headers["Location"])
            done = await client.get(f"{back.path}?{back.query}")
            assert (done.status_code, done.headers["Location"]) == (303, "/account"), "no role yet"
            user = await signed_in(desk, client)
            assert (user.name, user.roles, user.marks) == ("grace", frozenset(), marks(email="grace@example.com"))
            assert "You have no role yet" in (await client.get("/account")).text
            assert (await client.get("/audit")).status_code == 403
            again = await client.get(f"{back.path}?{back.query}")
            assert again.status_code == 401, "what came back once does not come back again"
    assert [(actor, act) for actor, act, *_ in await record(desk, "user.added", "user.linked", "session.begun")] == [
        *(("provider", "user.added"), ("provider", "user.linked"), ("grace", "session.begun"))
    ]
    assert "example.com" not in str(await record(desk))


FORGED = RSAKey.generate_key(2048, {"kid": "k1"})
SHARED = OctKey.import_key({"kty": "oct", "k": "c2hhcmVkIHNlY3JldCB0aGF0IGV2ZXJ5Ym9keSBrbm93cw", "kid": "shared"})


def _ago(**before: float) -> int:
    return int((datetime.now(UTC) - timedelta(**before)).timestamp())


@pytest.mark.parametrize(
    ("lie", "claims", "why"),
    [
        (lambda p: None, lambda: {"nonce": "another"}, "for_another_sign_in"),
        (lambda p: None, lambda: {"nonce": None}, "for_another_sign_in"),
        (lambda p: None, lambda: {"aud": "another-client"}, "for_another_client"),
        (lambda p: None, lambda: {"aud": ["desk", "another"]}, "for_another_client"),
        (lambda p: None, lambda: {"aud": ["desk", "another"], "azp": "another"}, "for_another_client"),
        (lambda p: None, lambda: {"aud": None}, "for_another_client"),
        (lambda p: None, lambda: {"iss": "http://127.0.0.1:1"}, "another_issuer"),
        (lambda p: None, lambda: {"exp": _ago(minutes=2)}, "token_expired"),
        (lambda p: None, lambda: {"exp": None}, "token_expired"),
        (lambda p: None, lambda: {"exp": "9999999999"}, "token_expired"),
        (lambda p: None, lambda: {"iat": _ago(minutes=-5)}, "token_from_the_future"),
        (lambda p: None, lambda: {"nbf": _ago(minutes=-5)}, "token_from_the_future"),
        (lambda p: None, lambda: {"sub": None}, "no_subject"),
        (lambda p: None, lambda: {"sub": "s" * 256}, "no_subject"),
        (lambda p: setattr(p, "signed_by", FORGED), dict, "signature_wrong"),
        (lambda p: setattr(p, "algorithm", "none"), dict, "signature_wrong"),
        (lambda p: (setattr(p, "algorithm", "HS256"), setattr(p, "signed_by", SHARED)), dict, "signature_wrong"),
        (lambda p: p.discovered.update(id_token_signing_alg_values_supported=["ES256"]), dict, "signature_wrong"),
        (lambda p: p.discovered.update(issuer="http://127.0.0.1:1"), dict, "another_issuer"),
        (lambda p: p.discovered.update(token_endpoint="http://evil.example/token"), dict, "discovery_incomplete"),
        (lambda p: setattr(p, "challenge", "another"), dict, "code_refused"),
    ],
)
async def test_what_does_not_prove_who_somebody_is_signs_nobody_in(
    desk: Desk,
    lying: LyingProvider,
    lie: Callable[[LyingProvider], None],
    claims: Callable[[], dict[str, Any]],
    why: str,
) -> None:
    async with stranger(app_for(desk, lying)) as client:
        state = await begin(client, lying, **claims())
        lie(lying)
        answer = await come_back(client, state)
        assert answer.status_code == 401
        assert SESSION_COOKIE not in client.cookies
    assert await record(desk, "session.refused") == [
        ("nobody", "session.refused", "unknown", {"way": "openid", "why": why})
    ]
    async with desk.database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM oidc_identity"))).scalar_one() == 0


async def test_a_sign_in_ends_where_it_was_begun_and_once(desk: Desk, lying: LyingProvider) -> None:
    app, lying.userinfo = app_for(desk, lying), {"sub": "s1"}
    async with stranger(app) as client, stranger(app) as attacker:
        state = await begin(client, lying)
        for other in ("", "another", "s" * 5000):
            assert (await come_back(client, other)).status_code == 401
        assert (await come_back(attacker, state)).status_code == 401, "a code in a browser that never asked"
        assert (await attacker.get("/sign-in/openid")).status_code == 303
        assert (await come_back(attacker, state)).status_code == 401, "nor in one that asked for another"
        assert (await come_back(client, state)).status_code == 303
        assert (await come_back(client, state)).status_code == 401, "nor twice"


async def test_who_has_begun_nothing_fills_no_record(desk: Desk, lying: LyingProvider) -> None:
    async with stranger(app_for(desk, lying)) as client:
        for address in ("/sign-in/openid/callback", "/sign-in/openid/callback?state=x&code=y"):
            assert (await client.get(address)).status_code == 401
    assert await record(desk, "session.refused") == []


@pytest.mark.parametrize("more", [{"error": "access_denied"}, {"code": ""}, {"iss": "https://evil.example"}])
async def test_a_no_of_the_provider_is_one(desk: Desk, lying: LyingProvider, more: dict[str, str]) -> None:
    async with stranger(app_for(desk, lying)) as client:
        assert (await come_back(client, await begin(client, lying), **more)).status_code == 401
        assert SESSION_COOKIE not in client.cookies


async def test_who_took_too_long_begins_once_more(desk: Desk, lying: LyingProvider) -> None:
    async with stranger(app_for(desk, lying)) as client:
        state = await begin(client, lying)
        async with desk.database.transaction() as connection:
            await connection.execute(text("UPDATE oidc_flow SET expires_at = expires_at - interval '10 minutes'"))
        assert (await come_back(client, state)).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ("grace", "grace"),
        ("paula", None),
        ("grace@example.com", None),
        ("+14165550123", None),
        ("../x", None),
        ("nobody", None),
        ("worker", None),
        ("", None),
        (None, None),
        (7, None),
        ("g" * 65, None),
        ("گریس", None),
    ],
)
@pytest.mark.suite_has(6)
async def test_nobody_is_taken_over_by_their_name_and_no_name_is_personal(
    desk: Desk, lying: LyingProvider, wanted: Any, named: str | None
) -> None:
    lying.userinfo = {"sub": "s1"}
    async with stranger(app_for(desk, lying)) as client:
        await come_back(client, await begin(client, lying, preferred_username=wanted))
        user = await signed_in(desk, client)
        assert user.roles == frozenset()
        if named is None:
            assert user.name.startswith("user-")
            assert len(user.name) == len("user-") + 16
        else:
            assert user.name == named


async def test_an_administrator_links_somebody_and_then_they_are_that_user(desk: Desk, lying: LyingProvider) -> None:
    async with desk.database.transaction() as connection:
        await people.link(connection, "paula", issuer=lying.issuer, subject="s1", by="ada", at=datetime.now(UTC))
    async with stranger(app_for(desk, lying)) as client:
        done = await come_back(client, await begin(client, lying, "/audit", preferred_username="mallory"))
        assert done.headers["Location"] == "/audit"
        user = await signed_in(desk, client)
        assert (user.name, user.roles) == ("paula", {Role.PROGRAM_OWNER})


async def test_who_was_barred_does_not_get_in_by_the_provider(desk: Desk, lying: LyingProvider) -> None:
    async with desk.database.transaction() as connection:
        await people.link(connection, "paula", issuer=lying.issuer, subject="s1", by="ada", at=datetime.now(UTC))
        await users.bar(connection, "paula", at=datetime.now(UTC))
    async with stranger(app_for(desk, lying)) as client:
        assert (await come_back(client, await begin(client, lying))).status_code == 401
        assert SESSION_COOKIE not in client.cookies


async def test_whoever_is_unlinked_does_not_come_back_as_a_second_person(desk: Desk, lying: LyingProvider) -> None:
    """Ada unlinks herself. As a new user, with the roles that the provider gives her, she would sign beside herself."""
    at, lying.userinfo = datetime.now(UTC), {"sub": "s1"}
    async with desk.database.transaction() as connection:
        await people.link(connection, "ada", issuer=lying.issuer, subject="s1", by="ada", at=at)
        await people.unlink(connection, "ada", by="ada", at=at)
    async with stranger(app_for(desk, lying)) as client:
        assert (await come_back(client, await begin(client, lying, preferred_username="grace"))).status_code == 401
        assert SESSION_COOKIE not in client.cookies
        [(*_, said)] = await record(desk, "session.refused")
        assert said == {"way": "openid", "why": "unlinked"}
        async with desk.database.transaction() as connection:
            assert (await people.one(connection, "ada")).identities == 0
            await people.link(connection, "paula", issuer=lying.issuer, subject="s1", by="ada", at=at)
            with pytest.raises(RequestInvalid, match="is already linked to a user"):
                await people.link(connection, "fiona", issuer=lying.issuer, subject="s1", by="ada", at=at)
        await come_back(client, await begin(client, lying))
        assert (await signed_in(desk, client)).name == "paula"
    assert (await person(desk, "paula")).unconfirmed == 1


@pytest.mark.parametrize(
    ("claim", "said", "held"),
    [
        ("groups", {"groups": ["finance-team", "canteen"]}, {Role.FINANCE}),
        ("groups", {"groups": "finance-team"}, {Role.FINANCE}),
        ("realm_access.roles", {"realm_access": {"roles": ["ops", 7, None]}}, {Role.OPERATIONS}),
        ("https://x.example/roles", {"https://x.example/roles": ["ops"]}, {Role.OPERATIONS}),
        ("groups", {"groups": ["finance"]}, set()),
        ("groups", {"groups": {"finance-team": True}}, set()),
        ("groups", {}, set()),
    ],
)
async def test_roles_come_from_the_claim_where_it_has_the_say(
    desk: Desk, lying: LyingProvider, claim: str, said: dict[str, Any], held: set[Role]
) -> None:
    roles = {"finance-team": Role.FINANCE, "ops": Role.OPERATIONS}
    lying.userinfo = {"sub": "s1"}
    async with desk.database.transaction() as connection:
        await people.link(connection, "paula", issuer=lying.issuer, subject="s1", by="ada", at=datetime.now(UTC))
    async with stranger(app_for(desk, lying, roles_claim=claim, roles=roles)) as client:
        await come_back(client, await begin(client, lying, preferred_username="p", **said))
        assert (await signed_in(desk, client)).roles == held, "and not from the register, which says program owner"


async def test_what_the_id_token_lacks_is_asked_for_and_believed_of_the_same_person_only(
    desk: Desk, lying: LyingProvider
) -> None:
    app = app_for(desk, lying)
    async with stranger(app) as client:
        lying.userinfo = {"sub": "another", "preferred_username": "eve"}
        assert (await come_back(client, await begin(client, lying))).status_code == 401
        lying.userinfo = {"sub": "s1", "preferred_username": "grace", "nonce": "x"}
        assert (await come_back(client, await begin(client, lying))).status_code == 303
        assert (await signed_in(desk, client)).name == "grace"


@pytest.mark.parametrize(("verified", "known"), [(True, True), (False, False), ("true", False), (None, False)])
async def test_only_a_verified_address_says_who_somebody_is(
    desk: Desk, lying: LyingProvider, verified: Any, known: bool
) -> None:
    said = {"email": "Pau.La@gmail.com", "email_verified": verified, "preferred_username": "p"}
    async with stranger(app_for(desk, lying)) as client:
        await come_back(client, await begin(client, lying, **said))
        assert (await signed_in(desk, client)).marks == (marks(email="paula@gmail.com") if known else frozenset())


async def test_a_provider_that_does_not_answer_is_said_to_be_silent(desk: Desk) -> None:
    async with stranger(app_with(desk, "http://127.0.0.1:9")) as client:
        answer = await client.get("/sign-in/openid")
        assert answer.status_code == 502
        assert "provider not answering" in answer.text


async def test_without_a_provider_there_is_no_such_page(desk: Desk) -> None:
    async with stranger(desk.app) as client:
        assert (await client.get("/sign-in/openid")).status_code == 404
        assert (await client.get("/sign-in/openid/callback?state=x&code=y")).status_code == 404


async def test_the_client_secret_is_shown_by_nothing() -> None:
    provider = Provider(issuer="https://x", client_id="desk", redirect_uri=CALLBACK, client_secret="s3cret")
    assert "s3cret" not in repr(provider)


@pytest.mark.parametrize(
    ("issuer", "fine"),
    [
        ("https://id.example.com/realms/x", True),
        ("http://localhost:9400", True),
        ("http://127.0.0.1:9400/", True),
        ("http://id.example.com", False),
        ("http://localhost.evil.example", False),
        ("https://id.example.com/?x", False),
        ("id.example.com", False),
    ],
)
def test_a_provider_is_asked_over_tls_or_on_this_machine(
    issuer: str, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from referral_rewards.config.settings import Settings

    monkeypatch.setenv("REFERRALS_DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("REFERRALS_OIDC_ISSUER", issuer)
    if fine:
        assert Settings.load().oidc_issuer == issuer
    else:
        with pytest.raises(BadInput, match="REFERRALS_OIDC_ISSUER"):
            Settings.load()
