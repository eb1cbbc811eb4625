"""Converts amounts to and from each rail's format. A provider's exponents may differ from ISO 4217, which we use."""

from decimal import Decimal

from referral_rewards.domain import money
from referral_rewards.domain.money import exponent, from_minor
from referral_rewards.domain.payouts import rail_catalogue


class NotPayable(ValueError):
    """An amount that the rail can't pay: in a currency that it does not support, or finer than its steps."""


def decimals(rail: str, currency: str) -> int:
    """Return the number of decimal places that the rail uses for the currency."""
    return rail_catalogue.CATALOGUE[rail].exponents.get(currency, exponent(currency))


def as_decimal(rail: str, amount_minor: int, currency: str) -> Decimal:
    """Return the amount in major units, with the rail's number of decimals.

    Raises:
        NotPayable: if the rail can't pay it.
    """
    step = rail_catalogue.step_minor(rail, currency)
    if not rail_catalogue.pays_in(rail, currency) or amount_minor <= 0 or amount_minor % step:
        raise NotPayable(f"{rail} does not pay {money.display(amount_minor, currency)}")
    return from_minor(amount_minor, currency).quantize(Decimal(1).scaleb(-decimals(rail, currency)))


def as_units(rail: str, amount_minor: int, currency: str) -> int:
    """Return the amount as a whole number of the rail's own smallest units.

    Raises:
        NotPayable: as above.
    """
    return int(as_decimal(rail, amount_minor, currency).scaleb(decimals(rail, currency)))


def minor_of_units(rail: str, units: int, currency: str) -> int | None:
    """Return a rail's units in our minor units; None if the currency is unknown or has no such amount."""
    try:
        return minor_of_decimal(Decimal(units).scaleb(-decimals(rail, currency)), currency)
    except ValueError:
        return None


def minor_of_decimal(amount: Decimal, currency: str) -> int | None:
    """Return an amount in major units in our minor units; None if the currency is unknown or has no such amount."""
    try:
        return money.to_minor(amount, currency) if amount.is_finite() and money.fits(amount, currency) else None
    except ValueError:
        return None
