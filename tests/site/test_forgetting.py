"""A person is erased from the front door's own store, and nothing of them is left in its files."""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from referral_rewards.config.site import SiteSettings
from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts.identity import normal_email
from referral_rewards.site import rows
from referral_rewards.site.forgetting import forget
from referral_rewards.site.rows import Invitation, InvitationState, Referrer
from referral_rewards.site.rules import tokens
from referral_rewards.site.store import Store
from tests.site.door import LINK_SECRET, PROGRAMS, SECRET

EMAIL = "Brie.Larson@example.com"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    secrets = {"token": "rrt_x", "secret": SECRET, "link_secrets": [LINK_SECRET]}
    return SiteSettings.load(programs=PROGRAMS, data=tmp_path, **secrets)


@pytest.fixture
async def stored(settings: SiteSettings) -> SiteSettings:
    """Dexter enrolled and invited a friend; so did Fontina, the same friend."""
    store = Store(settings.data)
    for customer, name in (("c-dexter", "Dexterous"), ("c-fontina", "Fontina")):
        referrer = Referrer("acme", customer, f"CODE-{customer}", name)
        await store.write(rows.enrol, referrer, {"id": customer}, NOW)
        mark = tokens.keyed(settings.secret_bytes, "address", normal_email(EMAIL))
        friend = (EMAIL, "Briesome", InvitationState.WAITING, NOW, 0)
        await store.write(rows.invite, Invitation(f"inv-{customer}", "acme", customer, mark, "b…@e…", *friend), 20)
    store.close()
    return settings


def left(settings: SiteSettings) -> bytes:
    return b"".join(path.read_bytes() for path in settings.data.iterdir())


def test_a_customer_goes_with_all_whom_they_invited(stored: SiteSettings) -> None:
    assert b"Dexterous" in left(stored)
    assert forget(stored, "c-dexter", by_email=False) == 2
    assert b"Dexterous" not in left(stored)
    assert b"Fontina" in left(stored)
    assert forget(stored, "c-dexter", by_email=False) == 0


def test_a_friend_goes_by_their_address_whoever_invited_them(
    stored: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{EMAIL.lower()}\n"))
    assert forget(stored, None, by_email=True) == 2
    assert b"Briesome" not in left(stored)
    assert EMAIL.encode() not in left(stored)
    assert b"Dexterous" in left(stored)


def test_what_is_no_address_is_refused_without_being_repeated(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("brie at example\n"))
    with pytest.raises(BadInput, match="--forget-email: the input holds no email address") as refused:
        forget(settings, None, by_email=True)
    assert "brie" not in str(refused.value)
