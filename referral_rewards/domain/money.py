"""Money: integers in minor units, each with an ISO 4217 currency; never a float."""

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import iso4217

_LARGEST = Decimal("1e15")
#: Python also reads 1_000, 1e2 and the digits of every script; those are refused rather than guessed at.
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


@cache
def exponent(currency: str) -> int:
    """Return the decimal places of the currency's minor unit (ISO 4217: JPY 0, USD 2, KWD 3)."""
    return int(iso4217.Currency(currency).exponent or 0)


@cache
def known_currency(currency: str) -> str:
    """Return ``currency`` if it is an ISO 4217 code.

    Raises:
        ValueError: if ISO 4217 does not list it.
    """
    try:
        iso4217.Currency(currency)
    except ValueError:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code such as USD") from None
    return currency


def parse_decimal(text: str) -> Decimal:
    """Parse a decimal string such as ``"80.00"``.

    Raises:
        ValueError: if it has another format or is beyond a thousand million million.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f'{text!r} is not a decimal such as "80.00"')
    value = Decimal(text)
    if abs(value) >= _LARGEST:
        raise ValueError(f"{text!r} is out of range")
    return value


def written(value: Decimal) -> str:
    """Return the one form in which equal decimals are compared: at least two places, and no zero after them."""
    whole, _, places = f"{value.normalize():f}".partition(".")
    return f"{whole}.{places:0<2}"


def parse_percent(text: str) -> Decimal:
    """Parse a percentage such as ``"24"`` or ``"7.5"``.

    Raises:
        ValueError: if it is not a decimal from 0 to 100.
    """
    percent = parse_decimal(text)
    if not 0 <= percent <= 100:
        raise ValueError(f"{text!r} is not a percentage from 0 to 100")
    return percent


def fits(amount: Decimal, currency: str) -> bool:
    """Whether the amount has no more decimals than the currency."""
    scaled = amount.scaleb(exponent(currency))
    return scaled == scaled.to_integral_value()


def to_minor(amount: Decimal | str, currency: str) -> int:
    """Return the amount in minor units, rounded half-up (exact for every amount that `fits`)."""
    value = parse_decimal(amount) if isinstance(amount, str) else amount
    return int(value.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """Return the amount as a decimal with the currency's number of places."""
    return Decimal(amount_minor).scaleb(-exponent(currency))


def percent_of(amount_minor: int, percent: Decimal) -> int:
    """Return that percentage of an amount in minor units, rounded half-up once."""
    return int((Decimal(amount_minor) * percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def display(amount_minor: int | None, currency: str | None) -> str:
    """Format an amount for people: ``80.00 USD``, or a dash if there is none."""
    if amount_minor is None or currency is None:
        return "–"
    return f"{from_minor(amount_minor, currency)} {currency}"
