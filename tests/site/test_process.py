"""The process of the front door: what it is told, what it refuses to begin with, and that it holds nothing of the
product's."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import yaml

from referral_rewards.config.site import SiteSettings
from referral_rewards.domain.errors import BadInput
from referral_rewards.site import shown_programs
from tests.site.door import LINK_SECRET, PROGRAMS, SECRET

ROOT = Path(__file__).parents[2]
GIVEN = {
    "REFERRALS_SITE_PROGRAMS": str(PROGRAMS),
    "REFERRALS_SITE_TOKEN": "rrt_x",
    "REFERRALS_SITE_SECRET": SECRET,
    "REFERRALS_SITE_LINK_SECRETS": f'["{LINK_SECRET}"]',
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("REFERRALS_")]:
        monkeypatch.delenv(name)


def run(given: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "referral_rewards.site", *arguments]
    return subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, timeout=120)


def test_a_link_is_printed_without_anything_else_running() -> None:
    done = run(GIVEN, "--link", "c-dexter", "--program", "acme-friends", "--port", "8799")
    url = httpx.URL(done.stdout.strip())
    assert (done.returncode, str(url.copy_with(query=None))) == (0, "http://127.0.0.1:8799/enrol")
    assert {"program": "acme-friends", "customer": "c-dexter"}.items() <= dict(url.params).items()


def test_what_is_missing_is_named_line_by_line() -> None:
    done = run({"REFERRALS_SITE_LINK_SECRETS": '["short"]', "REFERRALS_SITE_PROGRAMS": "none.yaml"})
    lines = sorted(done.stderr.splitlines())
    assert (done.returncode, done.stdout) == (2, "")
    assert lines == [
        "site: REFERRALS_SITE_LINK_SECRETS: must be hex or base64",
        "site: REFERRALS_SITE_SECRET: is required",
        "site: REFERRALS_SITE_TOKEN: is required",
    ]


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("LINK_SECRETS", "abcdef", "LINK_SECRETS"),
        ("LINK_SECRETS", "[]", "LINK_SECRETS"),
        ("SECRET", "00", "SECRET"),
        ("MAIL_FROM", "nobody", "MAIL_FROM"),
        ("SMTP_URL", "http://mail", "SMTP_URL"),
        ("PORT", "0", "PORT"),
        ("API_URL", "ftp://api", "API_URL"),
    ],
)
def test_a_setting_that_is_wrong_is_named(name: str, value: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each, given in {**GIVEN, f"REFERRALS_SITE_{name}": value}.items():
        monkeypatch.setenv(each, given)
    with pytest.raises(BadInput) as error:
        SiteSettings.load()
    assert [each.where for each in error.value.problems] == [f"REFERRALS_SITE_{where}"]
    assert value not in str(error.value) or len(value) < 3


def test_it_asks_for_nothing_that_opens_the_product() -> None:
    """Its settings name no database, no pepper and no signing key, and it listens on loopback unless told otherwise."""
    names = " ".join(SiteSettings.model_fields)
    assert [word for word in ("database", "pepper", "signing", "verify", "temporal", "rail") if word in names] == []
    assert SiteSettings.model_fields["host"].default == "127.0.0.1"


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"titel": "x"}, "programs.acme-friends.titel"),
        ({"shop_url": "javascript:alert(1)"}, "programs.acme-friends.shop_url"),
        ({"logo": "logo.gif"}, "programs.acme-friends.logo"),
        ({"logo": "none.svg"}, "programs.acme-friends.logo"),
        ({"colours": {"accent": "#ffee88"}}, "programs.acme-friends.colours"),
        ({"colours": {"accent": "red; } body { display: none"}}, "programs.acme-friends.colours.accent"),
    ],
)
def test_a_program_that_can_not_be_shown_is_named(changed: Mapping[str, object], where: str, tmp_path: Path) -> None:
    document = yaml.safe_load(PROGRAMS.read_text())
    (tmp_path / "logo.svg").write_bytes(PROGRAMS.with_name("logo.svg").read_bytes())
    document["programs"]["acme-friends"].update(changed)
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(BadInput) as error:
        shown_programs.load(path)
    assert {each.where for each in error.value.problems} == {where}


@pytest.mark.parametrize("written", ["", "programs: {}", "- a", "programs: [", None])
def test_a_file_without_programs_is_refused(written: str | None, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    if written is not None:
        path.write_text(written)
    with pytest.raises(BadInput):
        shown_programs.load(path)
