"""What the front door is given in a local stack, and by which link one tries it out."""

from datetime import UTC, datetime
from pathlib import Path

import httpx

from referral_rewards.config.credentials import store
from referral_rewards.config.site import SiteSettings
from referral_rewards.local import front_door
from referral_rewards.local.keys import ensure_keys
from referral_rewards.site import shown_programs
from referral_rewards.site.rules.links import Link, objection

GIVEN = {
    "PATH": "/bin",
    "REFERRALS_DATABASE_URL": "postgresql://secret",
    "REFERRALS_PEPPER": "00" * 16,
    "REFERRALS_SIGNING_KEY": "/vault/signing.pem",
    "REFERRALS_RAIL_STRIPE_KEY": "sk_live",
    "TEMPORAL_API_KEY": "cloud",
    "REFERRALS_SITE_INVITATIONS_A_DAY": "3",
}


def test_it_is_given_its_own_settings_and_nothing_of_the_product(data: Path) -> None:
    ensure_keys(data)
    known = front_door.environment(data, 8705, "http://api", "rrt_x", GIVEN)
    assert [name for name in known if not name.startswith("REFERRALS_SITE_")] == ["PATH"]
    given = {name.removeprefix("REFERRALS_SITE_").lower(): value for name, value in known.items() if name != "PATH"}
    settings = SiteSettings(**{**given, "link_secrets": [given["link_secrets"][2:-2]]})
    assert (settings.invitations_a_day, settings.host, settings.data) == (3, "127.0.0.1", data / "site")
    assert set(shown_programs.load(settings.programs)) == {"acme-friends", "acme-today"}
    again = front_door.environment(data, 8705, "http://api", "rrt_x", GIVEN)
    assert again == known, "its secrets are made once"

    url = httpx.URL(front_door.link(data, 8705))
    link = Link(url.params["program"], url.params["customer"], int(url.params["expires"]))
    assert objection(settings.link_secret_bytes, link, url.params["signature"], datetime.now(UTC)) is None


def test_friends_go_on_to_the_shop_of_the_stack(data: Path) -> None:
    ensure_keys(data)
    known = front_door.environment(data, 8705, "http://api", "rrt_x", GIVEN, "http://127.0.0.1:8704/shop")
    shown = shown_programs.load(Path(known["REFERRALS_SITE_PROGRAMS"]))
    assert {str(each.shop_url) for each in shown.values()} == {"http://127.0.0.1:8704/shop"}
    assert all(each.logo is not None for each in shown.values())


def test_without_a_token_there_is_none(data: Path) -> None:
    ensure_keys(data)
    assert front_door.program(data, 8705, "http://api", {}) is None
    store(data, front_door.USER, "rrt_x")
    opened = front_door.program(data, 8705, "http://api", {})
    assert opened is not None
    assert opened.name == "front door"
