"""Money: exact in minor units, rounded half-up once, and never of a currency that ISO 4217 doesn't know."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_rewards.domain import money

CURRENCIES = ["USD", "JPY", "KWD"]


@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("USD", 2), ("KWD", 3)])
def test_exponent_is_the_currency_s_own(currency: str, places: int) -> None:
    assert money.exponent(currency) == places


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("80.00", "USD", 8000),
        ("80", "USD", 8000),
        ("80", "JPY", 80),
        ("0.001", "KWD", 1),
        ("0.005", "USD", 1),
        ("0.0049", "USD", 0),
        ("0", "USD", 0),
    ],
)
def test_amount_in_minor_units(amount: str, currency: str, minor: int) -> None:
    assert money.to_minor(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount_minor", "percent", "share"),
    [(8000, "10", 800), (5, "10", 1), (4, "10", 0), (15, "10", 2), (9999, "12.5", 1250), (0, "100", 0)],
)
def test_percent_is_rounded_half_up_once(amount_minor: int, percent: str, share: int) -> None:
    assert money.percent_of(amount_minor, Decimal(percent)) == share


@pytest.mark.parametrize(
    ("amount", "currency", "fits"),
    [("1.00", "USD", True), ("1.001", "USD", False), ("1.0", "JPY", True), ("1.5", "JPY", False), ("1.5", "KWD", True)],
)
def test_amount_has_no_more_decimals_than_its_currency(amount: str, currency: str, fits: bool) -> None:
    assert money.fits(Decimal(amount), currency) is fits


@pytest.mark.parametrize(
    "text",
    [
        *("", "eighty", "NaN", "Infinity", "80,00", "1" + "0" * 15, "-1" + "0" * 15),
        *("1_000", "1e2", "0E+999999999999", "١٢", " 80.00", "80.00\n", "80.", ".5"),
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a decimal|is out of range"):
        money.parse_decimal(text)


def test_unknown_currency_is_refused() -> None:
    assert money.known_currency("USD") == "USD"
    with pytest.raises(ValueError, match="ISO 4217"):
        money.known_currency("USX")


@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [(8000, "USD", "80.00 USD"), (80, "JPY", "80 JPY"), (1, "KWD", "0.001 KWD"), (None, "USD", "–"), (1, None, "–")],
)
def test_display_has_the_currency_s_places(amount_minor: int | None, currency: str | None, shown: str) -> None:
    assert money.display(amount_minor, currency) == shown


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, 10**14), st.sampled_from(CURRENCIES))
def test_minor_units_survive_the_way_to_decimals_and_back(amount_minor: int, currency: str) -> None:
    decimal = money.from_minor(amount_minor, currency)
    assert money.fits(decimal, currency)
    assert money.to_minor(decimal, currency) == amount_minor


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, 10**12), st.decimals(0, 100, places=3))
def test_share_lies_within_half_a_unit_of_the_exact_one(amount_minor: int, percent: Decimal) -> None:
    exact = Decimal(amount_minor) * percent / 100
    assert abs(money.percent_of(amount_minor, percent) - exact) <= Decimal("0.5")
