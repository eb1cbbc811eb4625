"""Our access to the providers: URLs, keys and accounts to pay from, and whether they move real money."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from referral_rewards.domain.payouts.rail_catalogue import PROVIDERS


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """A secret or restricted key with write access to transfers, customer balances, coupons and promotion codes."""

    key: str = field(repr=False)
    url: str = "https://api.stripe.com"


@dataclass(frozen=True, slots=True)
class PayPalAccess:
    """A REST app with the feature *Payouts*."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    url: str = "https://api-m.paypal.com"


@dataclass(frozen=True, slots=True)
class TremendousAccess:
    """An API key, the funding source that orders are paid from, and the campaign whose gift cards are offered."""

    key: str = field(repr=False)
    funding_source: str
    campaign: str
    url: str = "https://www.tremendous.com"


@dataclass(frozen=True, slots=True)
class Access:
    """The access of an installation to each provider; None where it has none."""

    stripe: StripeAccess | None = None
    paypal: PayPalAccess | None = None
    tremendous: TremendousAccess | None = None


LIVE: Final = "live"
TEST: Final = "test"
SANDBOX: Final = "sandbox"


def modes(access: Access, rails: Iterable[str]) -> Mapping[str, str]:
    """Return the mode of each of these rails: live, test or sandbox."""
    return {rail: _mode(access, rail) for rail in rails}


def _mode(access: Access, rail: str) -> str:
    provider = PROVIDERS.get(rail)
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
    """Return ``mode`` if the URL is on the provider's own domain ``own``; else it is a sandbox of ours."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return mode if host == own or host.endswith(f".{own}") else SANDBOX
