"""Each secret is exchanged for another while everything goes on: both count, then the new one alone.

docs/guides/rotating-secrets.md tells whoever does it. Of the passwords of the database: tests/models/test_grants.py. Of
the pepper, which is not exchanged: tests/restores/test_secrets.py. Of a provider that refuses our key:
tests/rails/test_waiting.py.
"""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from referral_rewards.api.dependencies import Parts, check_secrets
from referral_rewards.config.settings import Settings
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import BadInput, NotGenuine
from referral_rewards.local.keys import ensure_keys
from referral_rewards.loopback import reply, served
from referral_rewards.notices.webhook import Webhooks
from referral_rewards.rails.webhooks.connected import connected
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals
from tests.desk import Desk

DATABASE: Final = "postgresql+psycopg://localhost/nowhere"
OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8
NOW: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REFERRALS_DATA", str(tmp_path))
    for name in Settings.model_fields.keys() - {"data"}:
        monkeypatch.delenv(f"REFERRALS_{name.upper()}", raising=False)


# The signing key.


def _entry(signer: Signer, status: str) -> dict[str, str]:
    return {**signer.public_entry(), "status": status}


async def test_decisions_of_a_retired_key_stand_beside_those_of_the_new_one(desk: Desk) -> None:
    old, new = desk.parts.signer, Signer.generate()
    for name in ("r1", "r2", "r3"):
        await desk.referral(name)
    assert (await desk.decide("r1", "hold")).status_code == 201
    # Both are listed first, while the old one signs.
    desk.app.state.parts = replace(desk.parts, keys=KeyRing.of([_entry(old, "active"), _entry(new, "active")]))
    assert (await desk.decide("r2", "hold")).status_code == 201
    # Then the new one signs, and the old one is retired.
    retired = KeyRing.of([_entry(old, "retired"), _entry(new, "active")])
    desk.app.state.parts = replace(desk.parts, signer=new, keys=retired)
    assert (await desk.decide("r3", "hold")).status_code == 201
    async with desk.database.reading() as connection:
        assert await chain.chain_problems(connection, retired) == []
        # One that was stolen is revoked: what it signed is believed no more, and is named.
        revoked = KeyRing.of([_entry(old, "revoked"), _entry(new, "active")])
        told = await chain.chain_problems(connection, revoked)
        assert [each.partition(") ")[2] for each in told] == 2 * [f"names the key {old.key_id}, which is revoked"]
        # A key that nobody listed is another matter: somebody forged it.
        stranger = KeyRing.of([Signer.generate().public_entry(), new.public_entry()])
        told = await chain.chain_problems(connection, stranger)
        assert [each.partition(") ")[2] for each in told] == 2 * ["carries no signature that we believe"]


@pytest.mark.parametrize("starts_before_it_is_revoked", [True, False])
async def test_an_api_with_a_new_key_signs_the_end_of_the_chain_that_it_still_believes(
    desk: Desk, starts_before_it_is_revoked: bool
) -> None:
    """Else no decision, by whatever key, is believed once the earlier key is revoked, until somebody decides."""
    oldest, stolen, new = desk.parts.signer, Signer.generate(), Signer.generate()
    for name, signer in (("r1", oldest), ("r2", stolen)):
        await desk.referral(name)
        its = replace(desk.parts, signer=signer, keys=KeyRing.of([_entry(oldest, "active"), _entry(stolen, "active")]))
        desk.app.state.parts = its
        assert (await desk.decide(name, "hold")).status_code == 201
    revoked = [_entry(oldest, "retired"), _entry(stolen, "revoked"), _entry(new, "active")]
    listed = revoked if not starts_before_it_is_revoked else [*revoked[:1], _entry(stolen, "active"), revoked[2]]
    await check_secrets(replace(its, signer=new, keys=KeyRing.of(listed)))
    async with desk.database.reading() as connection:
        told = await chain.chain_problems(connection, KeyRing.of(revoked))
    assert [each.partition(" ")[0] for each in told] == ["decision", *([] if starts_before_it_is_revoked else ["the"])]


@pytest.mark.parametrize(("status", "told"), [("retired", "as active"), ("revoked", "as active"), (None, "as active")])
def test_a_key_that_is_not_active_signs_nothing_any_more(status: str | None, told: str, tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    old = Signer.load(keys.signing_key)
    listed = [Signer.generate().public_entry(), *([_entry(old, status)] if status else [])]
    keys.verify_keys.write_text(json.dumps(listed))
    settings = Settings.load(
        database_url=DATABASE,
        pepper="ab" * 16,
        personal_keys="ab" * 32,
        signing_key=keys.signing_key,
        verify_keys=keys.verify_keys,
        second_factor="optional",
    )
    with pytest.raises(BadInput, match=f"REFERRALS_VERIFY_KEYS: does not list the signing key {old.key_id} {told}"):
        Parts.of(settings)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"key_id": "x"}]', None])
def test_verify_keys_that_can_not_be_read_are_named(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=r"REFERRALS_VERIFY_KEYS: .*verify\.json is no list of"):
        KeyRing.load(path)


# Secrets that others sign with.


def _stripe(secret: str, body: bytes) -> dict[str, str]:
    stamp = str(int(NOW.timestamp()))
    right = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={stamp},v1={right}"}


def _tremendous(secret: str, body: bytes) -> dict[str, str]:
    return {"tremendous-webhook-signature": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}


@pytest.mark.parametrize(
    ("source", "signed", "event"),
    [
        ("stripe", _stripe, {"id": "evt_1", "type": "transfer.created", "data": {"object": {"id": "tr_1"}}}),
        ("tremendous", _tremendous, {"uuid": "e1", "event": "REWARDS.X", "payload": {"resource": {"id": "R1"}}}),
    ],
)
@pytest.mark.parametrize(
    ("accepted", "heard"),
    [([OLD], {OLD}), ([NEW, OLD], {NEW, OLD}), ([OLD, NEW], {NEW, OLD}), ([NEW], {NEW})],
)
async def test_events_of_a_provider_are_heard_with_each_secret_that_is_listed(
    source: str, signed: Any, event: Any, accepted: list[str], heard: set[str]
) -> None:
    settings = Settings.load(database_url=DATABASE, webhook_secrets={source: accepted})
    secrets = {name: [each.get_secret_value() for each in its] for name, its in settings.webhook_secrets.items()}
    body = json.dumps(event).encode()
    async with httpx.AsyncClient() as client:
        webhook = connected({str(name): its for name, its in secrets.items()}, client, certificates="", roots=None)[
            source
        ]
        for secret in (OLD, NEW):
            if secret in heard:
                assert await webhook.read(body, signed(secret, body), NOW) is not None
            else:
                with pytest.raises(NotGenuine):
                    await webhook.read(body, signed(secret, body), NOW)


def test_one_secret_needs_no_list() -> None:
    settings = Settings.load(database_url=DATABASE, webhook_secrets={"stripe": OLD})
    assert [each.get_secret_value() for each in settings.webhook_secrets["stripe"]] == [OLD]


@pytest.mark.parametrize("given", [[], [OLD, " "], ""])
def test_no_secret_of_a_list_is_empty(given: Any) -> None:
    with pytest.raises(BadInput, match="REFERRALS_WEBHOOK_SECRETS"):
        Settings.load(database_url=DATABASE, webhook_secrets={"stripe": given})


# Secrets that we sign events with.


@pytest.mark.parametrize(("signing", "verified_by"), [(OLD, {OLD}), ([NEW, OLD], {OLD, NEW}), ([NEW], {NEW})])
async def test_an_endpoint_verifies_our_events_with_either_secret_while_it_changes(
    signing: Any, verified_by: set[str]
) -> None:
    heard: list[tuple[bytes, dict[str, str]]] = []

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        heard.append((body, {name.decode(): value.decode() for name, value in scope["headers"]}))
        await reply(send, 204)

    async with served(endpoint) as url, httpx.AsyncClient() as client:
        hooks = Settings.load(database_url=DATABASE, webhooks={"crm": {"url": url, "secret": signing}}).hooks()
        await Webhooks(hooks, client).post("crm", uuid4(), {"type": "claim.created"})
    ((body, headers),) = heard
    for secret in (OLD, NEW):
        if secret in verified_by:
            Webhook(secret).verify(body, headers)
        else:
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body, headers)


# Keys of links to status pages.


async def _path(desk: Desk) -> str:
    async with desk.database.reading() as connection:
        row = await referrals.row(connection, "r1")
        assert row is not None
        return status_links.path(desk.app.state.parts.link_keys[0], row, Side.REFEREE)


@pytest.fixture
async def referred(desk: Desk) -> Desk:
    await desk.referral("r1")
    return desk


async def test_links_of_a_former_key_open_until_it_is_left_out(referred: Desk) -> None:
    keys = {name: tuple(own) for name, own in {"pepper": [None], "both": [b"n" * 32, None], "new": [b"n" * 32]}.items()}

    def use(which: str) -> None:
        referred.app.state.parts = replace(referred.parts, own_link_keys=keys[which])

    async def opens(path: str) -> bool:
        return (await referred.api.get(path, headers={"Accept": "text/html"})).status_code == 200

    before = await _path(referred)
    assert await opens(before)
    use("both")
    after = await _path(referred)
    assert after != before
    assert [await opens(before), await opens(after)] == [True, True]
    use("new")
    assert [await opens(before), await opens(after)] == [False, True]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (None, (None,)),
        (["ab" * 16, "pepper"], (bytes.fromhex("ab" * 16), None)),
        (["cd" * 16, "ab" * 16], (bytes.fromhex("cd" * 16), bytes.fromhex("ab" * 16))),
    ],
)
def test_the_first_key_makes_links(given: Any, keys: tuple[bytes | None, ...]) -> None:
    assert Settings.load(database_url=DATABASE, status_link_keys=given).own_link_keys() == keys


@pytest.mark.parametrize("given", [[], ["short"], ["ab" * 8]])
def test_a_key_of_links_is_long_enough(given: Any) -> None:
    with pytest.raises(BadInput, match="REFERRALS_STATUS_LINK_KEYS"):
        Settings.load(database_url=DATABASE, status_link_keys=given)


# API tokens.


async def test_a_service_goes_on_with_a_second_token_and_the_first_is_revoked(desk: Desk) -> None:
    asked = {"label": "next", "scopes": ["events:write"]}
    issued = await desk.api.post("/v1/users/site/tokens", json=asked, headers=desk.bearer("ada"))
    assert issued.status_code == 201, issued.text
    desk.tokens["next"] = issued.json()["token"]
    listed = (await desk.get("/v1/users/site/tokens", as_="ada")).json()
    (first,) = [each["id"] for each in listed if each["label"] == "first"]
    assert [(await desk.get("/v1/me", as_=each)).status_code for each in ("site", "next")] == [200, 200]
    gone = await desk.api.delete(f"/v1/users/site/tokens/{first}", headers=desk.bearer("ada"))
    assert gone.status_code == 204
    assert [(await desk.get("/v1/me", as_=each)).status_code for each in ("site", "next")] == [401, 200]
