"""What providers gave us: addresses, keys and the accounts to pay from. For the payouts worker alone."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """A secret or restricted key that may write transfers, customer balances, coupons and promotion codes."""

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
    """The providers of an installation."""

    stripe: StripeAccess | None = None
    paypal: PayPalAccess | None = None
    tremendous: TremendousAccess | None = None
