"""The provider webhooks of an installation, by the names of their sources."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from referral_rewards.rails.webhooks.certificates import Certificates
from referral_rewards.rails.webhooks.paypal import PayPalWebhook
from referral_rewards.rails.webhooks.port import Several, Webhook
from referral_rewards.rails.webhooks.stripe import StripeWebhook
from referral_rewards.rails.webhooks.tremendous import TremendousWebhook


def connected(
    secrets: Mapping[str, Sequence[str]], client: httpx.AsyncClient, *, certificates: str, roots: Path | None
) -> Mapping[str, Webhook]:
    """Return a webhook for each source that has secrets, of which each counts. PayPal's certificates are fetched only
    from addresses under ``certificates``.

    Raises:
        OSError, ValueError: if no certificate can be read from ``roots``.
    """
    found: dict[str, Webhook] = {}
    if "stripe" in secrets:
        found["stripe"] = Several(*map(StripeWebhook, secrets["stripe"]))
    if "tremendous" in secrets:
        found["tremendous"] = Several(*map(TremendousWebhook, secrets["tremendous"]))
    if "paypal" in secrets:
        shown = Certificates(client, certificates, roots)
        found["paypal"] = Several(*(PayPalWebhook(each, shown) for each in secrets["paypal"]))
    return found
