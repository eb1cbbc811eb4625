"""Amounts as Stripe writes them: in its own smallest units, https://docs.stripe.com/currencies#zero-decimal."""

from decimal import Decimal

from referral_rewards.domain import money
from referral_rewards.domain.payouts.rail_catalogue import STRIPE_TRANSFER
from referral_rewards.vendors.port import Unreadable


def amount(units: int, currency: str) -> tuple[str, str]:
    """Return an amount and its currency as facts have them: ``("80.00", "USD")``, ``("500", "JPY")``.

    Raises:
        Unreadable: for a negative amount or a currency that ISO 4217 does not know.
    """
    code = currency.upper()
    try:
        places = money.exponent(money.known_currency(code))
    except ValueError:
        raise Unreadable("currency", "is none of ISO 4217", "a three-letter code such as usd") from None
    if units < 0:
        raise Unreadable("amount", "is negative", "amounts are zero or more")
    # Stripe counts what a company is paid as it counts what it pays out.
    value = Decimal(units).scaleb(-STRIPE_TRANSFER.exponents.get(code, places))
    return f"{value:.{places}f}" if money.fits(value, code) else f"{value:f}", code
