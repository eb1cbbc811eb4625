"""Settings come from flags, then the environment, then the running local stack; what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from referral_rewards.api.dependencies import Parts
from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import StackInfo, local_stack
from referral_rewards.domain.errors import BadInput
from referral_rewards.local.keys import ensure_keys
from referral_rewards.rails.access import Access, PayPalAccess, StripeAccess, TremendousAccess

STACK = {
    "api": "http://127.0.0.1:9000",
    "temporal": "127.0.0.1:9002",
    "web_ui": "http://127.0.0.1:9001",
    "database_url": "postgresql://referrals:secret@127.0.0.1:9003/referrals",
}
OTHER = "postgresql://someone@elsewhere/db"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("REFERRALS_DATA", str(data))
    for name in Settings.model_fields.keys() - {"data"}:
        monkeypatch.delenv(f"REFERRALS_{name.upper()}", raising=False)


@pytest.fixture
def running(data: Path) -> Path:
    keys = ensure_keys(data)
    (data / "stack.json").write_text(json.dumps(STACK))
    return keys.pepper


def test_a_running_stack_is_found_without_flags(running: Path) -> None:
    settings = Settings.load()
    assert settings.database_url == "postgresql+psycopg://referrals:secret@127.0.0.1:9003/referrals"
    assert settings.api_url == "http://127.0.0.1:9000"
    assert settings.pepper_bytes().hex() == running.read_text()
    assert settings.verify_keys == running.with_name("verify.json")


def test_the_environment_is_above_the_stack_and_flags_above_both(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERRALS_API_URL", "http://environment")
    assert Settings.load().api_url == "http://environment"
    assert Settings.load(api_url="http://flag").api_url == "http://flag"
    assert Settings.load(api_url=None).api_url == "http://environment"


def test_another_database_is_never_given_the_keys_of_the_stack(running: Path) -> None:
    settings = Settings.load(database_url=OTHER)
    assert (settings.pepper, settings.verify_keys, settings.stack()) == (None, None, None)


def test_a_stack_on_an_outside_database_is_still_found(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", STACK["database_url"])
    assert Settings.load().pepper is not None
    assert Settings.load().stack() == StackInfo(**STACK)


def test_nobody_but_the_api_is_handed_the_signing_key(running: Path) -> None:
    assert Settings.load().signing_key is None


def test_without_a_database_the_way_out_is_named() -> None:
    with pytest.raises(BadInput, match=r"REFERRALS_DATABASE_URL: not set.*referrals up"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("database_url", "mysql://a/b", "postgresql://"),
        ("database_url", "localhost", "postgresql://"),
        ("database_pooling", "statement", "'none' or 'transaction'"),
        ("pepper", "not hex, not base64", "hex or base64"),
        ("pepper", "00" * 15, "at least 16 bytes, this is 15"),
        ("api_port", "65536", "65535"),
        ("relay_poll_seconds", "0", "greater than 0"),
        ("log_level", "loud", "debug"),
        ("webhook_secrets", "stripe", "looks like"),
        ("webhook_secrets", '{"stripe": " "}', "empty secret for stripe"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(
    name: str, value: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", OTHER)
    monkeypatch.setenv(f"REFERRALS_{name.upper()}", value)
    with pytest.raises(BadInput, match=rf"REFERRALS_{name.upper()}: .*{what}"):
        Settings.load()


def test_regions_of_phone_numbers_are_of_the_source_else_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_REGION", "CA")
    monkeypatch.setenv("REFERRALS_REGIONS", '{"acme/london": "GB"}')
    regions = Settings.load(database_url=OTHER).phone_regions()
    assert [regions.of(source) for source in ("acme/london", "acme/site", None)] == ["GB", "CA", "CA"]


@pytest.mark.parametrize(
    ("name", "written", "what"),
    [
        ("REFERRALS_REGION", "ca", "'ca' is no region; write two capital letters, such as CA"),
        (
            "REFERRALS_REGIONS",
            '{"acme/site": "Canada"}',
            "'Canada' is no region; write two capital letters, such as CA",
        ),
        ("REFERRALS_REGIONS", "CA", 'is not JSON; it looks like {"acme/site": "CA"}'),
    ],
)
def test_unknown_region_is_named(name: str, written: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, written)
    with pytest.raises(BadInput) as refused:
        Settings.load(database_url=OTHER)
    assert [(each.where, each.what) for each in refused.value.problems] == [(name, what)]


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        Settings.load(api_port=0, log_level="loud")
    assert [problem.where for problem in caught.value.problems] == [
        "REFERRALS_DATABASE_URL",
        "REFERRALS_API_PORT",
        "REFERRALS_LOG_LEVEL",
    ]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_url_as_clouds_hand_it_out_is_taken(scheme: str) -> None:
    assert Settings.load(database_url=f"{scheme}://u@h/d").database_url == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize("text", ["00" * 16, "AAAAAAAAAAAAAAAAAAAAAA=="])
def test_a_pepper_is_hex_or_base64(text: str) -> None:
    assert Settings.load(database_url=OTHER, pepper=text).pepper_bytes() == bytes(16)


def test_without_a_pepper_no_hash_is_made() -> None:
    with pytest.raises(BadInput, match="REFERRALS_PEPPER"):
        Settings.load(database_url=OTHER).pepper_bytes()


def test_secrets_do_not_show_in_a_log() -> None:
    shown = repr(Settings.load(database_url="postgresql://u:hunter2@h/d", pepper="ab" * 16))
    assert "hunter2" not in shown
    assert "abab" not in shown


def test_each_provider_is_connected_by_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "STRIPE_KEY": "sk_1",
        "PAYPAL_CLIENT_ID": "app",
        "PAYPAL_SECRET": "s1",
        "TREMENDOUS_KEY": "k1",
        "TREMENDOUS_FUNDING_SOURCE": "f1",
        "TREMENDOUS_CAMPAIGN": "c1",
        "TREMENDOUS_URL": "https://testflight.tremendous.com",
    }
    assert Settings.load(database_url="postgresql://h/d").access() == Access()
    for name, value in given.items():
        monkeypatch.setenv(f"REFERRALS_RAIL_{name}", value)
    settings = Settings.load(database_url="postgresql://h/d")
    assert settings.access() == Access(
        StripeAccess("sk_1"),
        PayPalAccess("app", "s1"),
        TremendousAccess("k1", "f1", "c1", "https://testflight.tremendous.com"),
    )
    assert "sk_1" not in repr(settings)
    assert "s1" not in repr(settings)


def test_half_of_what_a_provider_needs_is_named_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_RAIL_TREMENDOUS_KEY", "k1")
    with pytest.raises(BadInput) as refusal:
        Settings.load(database_url="postgresql://h/d").access()
    assert [problem.where for problem in refusal.value.problems] == [
        "REFERRALS_RAIL_TREMENDOUS_FUNDING_SOURCE",
        "REFERRALS_RAIL_TREMENDOUS_CAMPAIGN",
    ]


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"api": "x", "more": 1}'])
def test_a_broken_stack_file_counts_as_none(content: str, data: Path) -> None:
    data.mkdir()
    (data / "stack.json").write_text(content)
    assert local_stack(data) is None


HOOK = {"url": "https://crm.example/hook", "secret": f"whsec_{'A' * 32}", "events": ["claim.*"]}


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("SMTP_URL", "mail.example", "must look like smtp://"),
        ("SMTP_URL", "smtp://u:hunter2@mail.example:99999", "names a port that is none"),
        ("MAIL_FROM", "nobody", "must look like Name <name@example.com>"),
        ("MAIL_FROM", "a@b.example\nBcc: c@d.example", "must look like Name <name@example.com>"),
        ("PUBLIC_URL", "rewards.example", "should match pattern"),
        ("WEBHOOKS", "{", "is not JSON; it looks like .*crm"),
        ("SOURCES", "{", "is not JSON; it looks like .*shop"),
        ("WEBHOOKS", json.dumps({"crm": {**HOOK, "url": "crm"}}), "should match pattern"),
        ("WEBHOOKS", json.dumps({"crm": {**HOOK, "secret": "hunter2"}}), "must be whsec_ and 24 bytes or more"),
        ("WEBHOOKS", json.dumps({"crm": {**HOOK, "events": []}}), "at least 1 item"),
        ("WEBHOOKS", json.dumps({"crm": {**HOOK, "events": ["a*b"]}}), "should match pattern"),
        ("WEBHOOKS", json.dumps({"crm": {**HOOK, "more": 1}}), "not permitted"),
    ],
)
def test_what_letters_and_events_are_sent_with_is_checked_without_repeating_a_secret(
    setting: str, value: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"REFERRALS_{setting}", value)
    with pytest.raises(BadInput, match=rf"REFERRALS_{setting}.*: .*{what}") as caught:
        Settings.load(database_url=OTHER)
    assert "hunter2" not in str(caught.value)


def test_what_letters_and_events_are_sent_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_WEBHOOKS", json.dumps({"crm": HOOK}))
    settings = Settings.load(database_url=OTHER, smtp_url="smtps://u:hunter2@mail.example")
    assert settings.hooks()["crm"].events == ("claim.*",)
    assert settings.mailer() is not None
    assert Settings.load(database_url=OTHER).mailer() is None
    assert "hunter2" not in repr(settings)
    assert "AAAA" not in repr(settings)
    assert settings.home_url() == "http://127.0.0.1:8700"
    assert (
        Settings.load(database_url=OTHER, public_url="https://rewards.example/").home_url() == "https://rewards.example"
    )


def test_the_api_does_not_start_without_a_second_factor_unless_it_is_told_to(data: Path) -> None:
    keys = ensure_keys(data)
    its: dict[str, Any] = {
        "database_url": "postgresql://db/x",
        "pepper": keys.pepper.read_text(),
        "personal_keys": keys.personal.read_text(),
        "signing_key": keys.signing_key,
        "verify_keys": keys.verify_keys,
    }
    with pytest.raises(BadInput, match="REFERRALS_SEALING_KEYS: not set; without it no second factor can be kept"):
        Parts.of(Settings.load(**its))
    assert not Parts.of(Settings.load(**its, second_factor="optional")).second_factor_required
    sealed = Parts.of(Settings.load(**its, sealing_keys=keys.sealing.read_text(), payload_keys={"a": "ab" * 32}))
    begun = Settings.load(**its, payload_keys={"clear": "", "a": "ab" * 32})
    assert begun.payload_key_bytes() == {"clear": None, "a": bytes.fromhex("ab" * 32)}
    assert (sealed.second_factor_required, sealed.codec.has_keys) == (True, True)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"sealing_keys": "c0ffee" * 8}, "REFERRALS_SEALING_KEYS: key 1 must be 32 bytes"),
        ({"payload_keys": {"2026-12": "c0ffee"}}, "REFERRALS_PAYLOAD_KEYS: key 2026-12 must be 32 bytes"),
        ({"payload_keys": {"clear": "ab" * 32}}, "REFERRALS_PAYLOAD_KEYS: clear is no key"),
        ({"payload_keys": {"": "ab" * 32}}, "REFERRALS_PAYLOAD_KEYS: name each key"),
    ],
)
def test_a_key_that_is_none_is_told_without_repeating_it(given: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as refused:
        Settings.load(database_url="postgresql://db/x", **given)
    assert str(refused.value).startswith(where)
    assert "c0ffee" not in str(refused.value)
