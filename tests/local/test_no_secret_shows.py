"""No secret of any setting shows where settings are shown, in errors about them, or in what is made of them.

The settings are read from their classes, so that a new secret is here by itself.
"""

import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from referral_rewards import observability
from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import StackInfo
from referral_rewards.domain.errors import BadInput
from referral_rewards.local.children import Secrets

#: Long enough and of the form that each setting asks for. As no secret has it, it is found wherever it shows.
MARK: Final = "5ec2e7" * 8
#: Of the length that a key has.
KEY: Final = MARK + "00" * 8
SECRET: Final = {"webhooks": f"whsec_{MARK}", "smtp_url": f"smtps://acme:{MARK}@mail.example"}
#: A secret that is no SecretStr: where it stands is asked for by name.
BESIDE: Final = {"database_url": f"postgresql://referrals:{MARK}@db/referrals"}
DATABASE: Final = "postgresql://db/referrals"


def _holds_a_secret(annotation: Any) -> bool:
    if annotation is SecretStr:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_a_secret(each.annotation) for each in annotation.model_fields.values())
    return any(map(_holds_a_secret, get_args(annotation)))


SECRETS: Final = sorted(name for name, each in Settings.model_fields.items() if _holds_a_secret(each.annotation))


def _given(name: str, secret: str) -> str:
    """A setting's variable with a secret in it."""
    match name:
        case "sources":
            return json.dumps({"shop": {"url": "https://shop.example", "token": secret}})
        case "webhooks":
            return json.dumps({"crm": {"url": "https://crm.example", "secret": secret}})
        case "webhook_secrets":
            return json.dumps({"stripe": [secret, secret], "tremendous": secret})
        case "status_link_keys":
            return json.dumps([secret])
        case "payload_keys":
            return json.dumps({"2026-12": KEY})
        case "sealing_keys" | "personal_keys":
            return KEY
        case _:
            return secret


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("REFERRALS_DATA", str(tmp_path))
    for name in Settings.model_fields.keys() - {"data"}:
        monkeypatch.delenv(f"REFERRALS_{name.upper()}", raising=False)


def test_the_secrets_are_those_that_the_guide_exchanges() -> None:
    """Whoever adds one says in docs/guides/rotating-secrets.md how it is exchanged."""
    guide = (Path(__file__).parents[2] / "docs/guides/rotating-secrets.md").read_text()
    assert [name for name in SECRETS if f"REFERRALS_{name.upper()}" not in guide] == []
    assert [
        *("oidc_client_secret", "payload_keys", "pepper", "personal_keys"),
        *("rail_paypal_client_id", "rail_paypal_secret"),
        *("rail_stripe_key", "rail_tremendous_key", "sealing_keys", "smtp_url", "sources", "status_link_keys"),
        *("webhook_secrets", "webhooks"),
    ] == SECRETS


@pytest.mark.parametrize("name", [*SECRETS, *BESIDE])
def test_no_secret_shows_in_settings_nor_in_a_log_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", DATABASE)
    monkeypatch.setenv("REFERRALS_LOG_FORMAT", "json")
    monkeypatch.setenv(f"REFERRALS_{name.upper()}", BESIDE.get(name) or _given(name, SECRET.get(name, MARK)))
    settings = Settings.load()
    made = [settings, *_made_of(settings)]
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        observability.configure_logging(settings)
        structlog.get_logger("test").warning("settings", settings=settings, made=made)
        logging.getLogger("test").error("failed with %s", made)
    finally:
        root.handlers, root.level = before, level
        structlog.reset_defaults()
    told = capsys.readouterr().err
    assert "settings" in told
    for shown in (repr(made), str(settings), told):
        assert MARK not in shown


def _made_of(settings: Settings) -> Iterator[Any]:
    yield settings.hooks()
    yield settings.endpoints()
    yield settings.mailer()
    try:
        yield settings.access()
    except BadInput as refused:
        yield str(refused)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("broken", [f"{MARK} ", f"{{{MARK}", f'["{MARK}"', f'{{"a": "{MARK}"}}', f'["", "{MARK}x-"]'])
def test_no_secret_shows_in_what_is_said_of_a_setting_that_is_wrong(
    name: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", DATABASE)
    monkeypatch.setenv(f"REFERRALS_{name.upper()}", broken)
    assert MARK not in _said_of_the_settings()


def _said_of_the_settings() -> str:
    """All that is said of what is wrong with the settings; some of what is tried here is none the less right."""
    try:
        Settings.load()
    except BadInput as refused:
        return "".join(traceback.format_exception(refused)) + str(refused)
    return ""


@pytest.mark.parametrize("url", [f"mysql://u:{MARK}@h/d", f"u:{MARK}@h", MARK])
def test_no_password_shows_in_what_is_said_of_a_database_url(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        Settings.load(database_url=url)
    assert MARK not in str(refused.value)


def test_no_secret_of_a_local_stack_shows() -> None:
    info = StackInfo("http://api", "temporal", "", f"postgresql://u:{MARK}@h/d", MARK, MARK)
    assert MARK not in repr(info)
    assert MARK not in repr(Secrets(MARK, "/keys/signing.pem", "/keys/verify.json", MARK, MARK))
