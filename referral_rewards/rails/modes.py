"""Whether a rail moves real money for us, by what its provider gave us: live, test, or a sandbox in its place."""

from collections.abc import Iterable, Mapping
from typing import Final

from referral_rewards.rails.access import Access

LIVE: Final = "live"
TEST: Final = "test"
SANDBOX: Final = "sandbox"


def modes(access: Access, rails: Iterable[str]) -> Mapping[str, str]:
    """The mode of each of these rails."""
    return {rail: _mode(access, rail) for rail in rails}


def _mode(access: Access, rail: str) -> str:
    provider = rail.partition("_")[0]
    if provider == "stripe" and access.stripe is not None:
        live = "_live_" in access.stripe.key
        return _at_its_own(access.stripe.url, "stripe.com", LIVE if live else TEST)
    if provider == "paypal" and access.paypal is not None:
        return _at_its_own(access.paypal.url, "paypal.com", TEST if "sandbox" in access.paypal.url else LIVE)
    if provider == "tremendous" and access.tremendous is not None:
        test = "testflight" in access.tremendous.url
        return _at_its_own(access.tremendous.url, "tremendous.com", TEST if test else LIVE)
    return LIVE


def _at_its_own(url: str, own: str, mode: str) -> str:
    """That mode at one of the provider's own addresses; elsewhere something stands in its place."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return mode if host == own or host.endswith(f".{own}") else SANDBOX
