"""Settings of rails: our access to the providers, their rate limits, and the secrets that they sign events with."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from referral_rewards.config.secrets import Secrets, values
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.web_addresses import HttpUrl
from referral_rewards.rails.access import Access, PayPalAccess, StripeAccess, TremendousAccess

WebhookSource = Literal["stripe", "paypal", "tremendous"]


class RailSettings(BaseModel):
    """The settings that connect rails. Settings that belong together must be set together."""

    rail_stripe_key: SecretStr | None = Field(
        default=None,
        description="Stripe secret or restricted key; connects the Stripe rails; only for the payouts worker",
    )
    rail_stripe_url: HttpUrl = Field(default="https://api.stripe.com", description="Base URL of Stripe")
    rail_stripe_per_second: float = Field(
        default=8, gt=0, description="Most payouts a second to Stripe; each takes up to three requests"
    )
    rail_paypal_client_id: SecretStr | None = Field(
        default=None,
        description="Client id of a PayPal app with payouts; connects `paypal_payouts`; only for the payouts worker",
    )
    rail_paypal_secret: SecretStr | None = Field(default=None, description="Secret of that app")
    rail_paypal_url: HttpUrl = Field(default="https://api-m.paypal.com", description="Base URL of PayPal")
    rail_paypal_per_second: float = Field(default=5, gt=0, description="Most payouts a second to PayPal")
    rail_tremendous_key: SecretStr | None = Field(
        default=None, description="Tremendous API key; connects `tremendous`; only for the payouts worker"
    )
    rail_tremendous_url: HttpUrl = Field(
        default="https://www.tremendous.com", description="Base URL of Tremendous, without /api/v2"
    )
    rail_tremendous_per_second: float = Field(
        default=3, gt=0, description="Most payouts a second to Tremendous; each takes up to three requests"
    )
    rail_tremendous_funding_source: str | None = Field(
        default=None, description="Id of the funding source that gift cards are paid from"
    )
    rail_tremendous_campaign: str | None = Field(
        default=None, description="Id of the campaign whose gift cards are offered"
    )
    webhook_secrets: dict[WebhookSource, Secrets] = Field(
        default={},
        description='Signing secrets for events of providers: {"stripe": "whsec_…", "tremendous": "…"}, and for PayPal '
        "the webhook's id; a list of them, while one takes another's place; only for the API",
    )
    webhook_paypal_certificates: HttpUrl = Field(
        default="https://api.paypal.com/v1/notifications/certs/",
        description="Beginning of the addresses of PayPal's certificates; api.sandbox.paypal.com for its sandbox",
    )
    webhook_paypal_roots: Path | None = Field(
        default=None, description="Root certificates to trust, as PEM; the public ones by default"
    )

    @field_validator("webhook_secrets")
    @classmethod
    def _not_empty(cls, secrets: dict[WebhookSource, Secrets]) -> dict[WebhookSource, Secrets]:
        if empty := [name for name, several in secrets.items() if not all(each.strip() for each in values(several))]:
            raise ValueError(f"has an empty secret for {' and '.join(empty)}: anybody could sign with it")
        return secrets

    def access(self) -> Access:
        """Return our access to the providers. Raises BadInput if only some of a rail's settings are set."""
        stripe, paypal, tremendous = None, None, None
        if self.rail_stripe_key is not None:
            stripe = StripeAccess(self.rail_stripe_key.get_secret_value(), self.rail_stripe_url)
        if app := _together("RAIL_PAYPAL", CLIENT_ID=self.rail_paypal_client_id, SECRET=self.rail_paypal_secret):
            client_id, secret = app
            paypal = PayPalAccess(client_id, secret, self.rail_paypal_url)
        if account := _together(
            "RAIL_TREMENDOUS",
            KEY=self.rail_tremendous_key,
            FUNDING_SOURCE=self.rail_tremendous_funding_source,
            CAMPAIGN=self.rail_tremendous_campaign,
        ):
            key, funding_source, campaign = account
            tremendous = TremendousAccess(key, funding_source, campaign, self.rail_tremendous_url)
        return Access(stripe, paypal, tremendous)

    def requests_pace(self) -> dict[str, float]:
        """Return the maximum number of payouts per second for each provider. Each payout makes several requests."""
        return {
            "stripe": self.rail_stripe_per_second,
            "paypal": self.rail_paypal_per_second,
            "tremendous": self.rail_tremendous_per_second,
        }


def _together(prefix: str, **settings: SecretStr | str | None) -> list[str]:
    """Return the values of settings that must be set together; an empty list if none is set.

    Raises:
        BadInput: if only some are set, with one problem for each missing one.
    """
    missing = [name for name, value in settings.items() if value is None]
    if len(missing) == len(settings):
        return []
    if missing:
        beside = next(name for name in settings if name not in missing)
        why = f"not set, but {PREFIX}{prefix}_{beside} is: the rail needs both"
        raise BadInput([Problem(f"{PREFIX}{prefix}_{name}", why) for name in missing])
    return [value.get_secret_value() if isinstance(value, SecretStr) else str(value) for value in settings.values()]
