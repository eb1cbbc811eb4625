"""Where a person sees a payment in its provider's own dashboard."""

from typing import Final
from urllib.parse import quote

_STRIPE: Final = {
    "stripe_transfer": "connect/transfers",
    "stripe_balance": "customers",
    "stripe_promotion": "promotion_codes",
}


def page_of(rail: str, mode: str | None, reference: str | None, destination: str | None) -> str | None:
    """Its address, or that of the dashboard as long as it has no reference; None where there is none that we know.

    ``mode`` is live or test: nobody but us looks into a sandbox.
    """
    if mode not in ("live", "test"):
        return None
    live = mode == "live"
    if rail in _STRIPE:
        base = "https://dashboard.stripe.com/" + ("" if live else "test/")
        # A credit is listed with its customer, and has no page of its own.
        named = destination if rail == "stripe_balance" else reference
        return f"{base}{_STRIPE[rail]}/{quote(named, safe='')}" if named else base + _STRIPE[rail]
    if rail == "paypal_payouts":
        return "https://www.paypal.com/activities" if live else "https://www.sandbox.paypal.com/activities"
    if rail == "tremendous":
        return "https://app.tremendous.com/" if live else "https://app.testflight.tremendous.com/"
    return None
