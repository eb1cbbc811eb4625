"""Amounts as each rail writes them. A provider's exponents are not always those of ISO 4217, which ours are.

Stripe (https://docs.stripe.com/currencies#special-cases) counts ariary whole though they have a minor unit, króna and
Ugandan shillings in hundredths though they have none, and wants a zero at the end of what has three decimals. PayPal
(https://developer.paypal.com/reference/currency-codes/) writes forints, yen and Taiwan dollars without decimals.
Tremendous (https://developers.tremendous.com/reference/create-order) takes a number in major units.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.money import exponent, from_minor
from referral_rewards.domain.payouts import rail_catalogue

_STRIPE_EXPONENTS: Final[Mapping[str, int]] = {"MGA": 0, "ISK": 2, "UGX": 2}
_PAYPAL_EXPONENTS: Final[Mapping[str, int]] = {"HUF": 0, "JPY": 0, "TWD": 0}
#: Decimals by rail where they are not those of ISO 4217.
EXPONENTS: Final[Mapping[str, Mapping[str, int]]] = {
    "stripe_transfer": _STRIPE_EXPONENTS,
    "stripe_balance": _STRIPE_EXPONENTS,
    "stripe_promotion": _STRIPE_EXPONENTS,
    "paypal_payouts": _PAYPAL_EXPONENTS,
    "tremendous": {},
}


class NotPayable(ValueError):
    """An amount that the rail can't write: of a currency that it does not pay in, or finer than its steps."""


def decimals(rail: str, currency: str) -> int:
    """How many decimal places the rail writes an amount of the currency with."""
    return EXPONENTS[rail].get(currency, exponent(currency))


def as_decimal(rail: str, amount_minor: int, currency: str) -> Decimal:
    """The amount in major units, with the rail's number of decimals.

    Raises:
        NotPayable: if the rail has no way to write it.
    """
    step = rail_catalogue.step_minor(rail, currency)
    if not rail_catalogue.pays_in(rail, currency) or amount_minor <= 0 or amount_minor % step:
        raise NotPayable(f"{rail} does not pay {money.display(amount_minor, currency)}")
    return from_minor(amount_minor, currency).quantize(Decimal(1).scaleb(-decimals(rail, currency)))


def as_units(rail: str, amount_minor: int, currency: str) -> int:
    """The amount as a whole number of the rail's own smallest units.

    Raises:
        NotPayable: as above.
    """
    return int(as_decimal(rail, amount_minor, currency).scaleb(decimals(rail, currency)))


def minor_of_units(rail: str, units: int, currency: str) -> int | None:
    """Our minor units of what a rail shows in its own; None where the currency has no such amount, or is none."""
    try:
        return minor_of_decimal(Decimal(units).scaleb(-decimals(rail, currency)), currency)
    except ValueError:
        return None


def minor_of_decimal(amount: Decimal, currency: str) -> int | None:
    """Our minor units of an amount in major ones; None likewise."""
    try:
        return money.to_minor(amount, currency) if amount.is_finite() and money.fits(amount, currency) else None
    except ValueError:
        return None
