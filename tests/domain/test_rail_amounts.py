"""Amounts as each rail writes them, both ways."""

from decimal import Decimal

import pytest

from referral_rewards.domain.payouts.rail_amounts import (
    NotPayable,
    as_decimal,
    as_units,
    minor_of_decimal,
    minor_of_units,
)
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, pays_in


@pytest.mark.parametrize("rail", ["stripe_transfer", "stripe_balance", "stripe_promotion"])
@pytest.mark.parametrize(
    ("currency", "minor", "units"),
    [
        ("USD", 1234, 1234),
        ("EUR", 1, 1),
        ("JPY", 500, 500),
        ("KWD", 5120, 5120),
        ("ISK", 5, 500),
        ("UGX", 7000, 700000),
        ("MGA", 500, 5),
        ("HUF", 100000, 100000),
        ("TWD", 100, 100),
    ],
)
def test_stripe_counts_in_units_of_its_own(rail: str, currency: str, minor: int, units: int) -> None:
    assert as_units(rail, minor, currency) == units
    assert minor_of_units(rail, units, currency) == minor


@pytest.mark.parametrize(
    ("rail", "currency", "minor", "written"),
    [
        ("paypal_payouts", "USD", 1234, "12.34"),
        ("paypal_payouts", "USD", 1200, "12.00"),
        ("paypal_payouts", "JPY", 500, "500"),
        ("paypal_payouts", "HUF", 100000, "1000"),
        ("paypal_payouts", "TWD", 2500, "25"),
        ("tremendous", "USD", 1234, "12.34"),
        ("tremendous", "JPY", 500, "500"),
        ("tremendous", "KWD", 5125, "5.125"),
        ("tremendous", "ISK", 5, "5"),
        ("tremendous", "MGA", 500, "5.00"),
        ("tremendous", "HUF", 12345, "123.45"),
        ("tremendous", "UGX", 7000, "7000"),
    ],
)
def test_others_write_major_units(rail: str, currency: str, minor: int, written: str) -> None:
    assert str(as_decimal(rail, minor, currency)) == written
    assert minor_of_decimal(Decimal(written), currency) == minor


@pytest.mark.parametrize(
    ("rail", "currency", "minor"),
    [
        ("stripe_transfer", "KWD", 5125),
        ("stripe_transfer", "MGA", 550),
        ("stripe_transfer", "HUF", 12345),
        ("stripe_transfer", "TWD", 150),
        ("paypal_payouts", "HUF", 12345),
        ("paypal_payouts", "KWD", 5000),
        ("paypal_payouts", "ISK", 5),
        ("stripe_transfer", "USD", 0),
        ("tremendous", "USD", -1),
    ],
)
def test_what_a_rail_cannot_write_is_refused_and_never_rounded(rail: str, currency: str, minor: int) -> None:
    with pytest.raises(NotPayable):
        as_decimal(rail, minor, currency)


def test_a_customer_can_be_credited_parts_of_a_forint_that_no_bank_takes() -> None:
    assert as_units("stripe_balance", 12345, "HUF") == 12345


@pytest.mark.parametrize(("currency", "units"), [("ISK", 150), ("UGX", 1), ("XXQ", 100), ("", 100), ("usd", 100)])
def test_an_amount_that_a_currency_has_not_is_none(currency: str, units: int) -> None:
    assert minor_of_units("stripe_transfer", units, currency) is None


@pytest.mark.parametrize("amount", ["1.234", "NaN", "Infinity", "-Infinity"])
def test_a_decimal_that_a_currency_has_not_is_none(amount: str) -> None:
    assert minor_of_decimal(Decimal(amount), "USD") is None


@pytest.mark.parametrize("rail", CATALOGUE)
def test_no_rail_has_decimals_of_its_own_in_a_currency_that_it_does_not_pay(rail: str) -> None:
    assert all(pays_in(rail, currency) for currency in CATALOGUE[rail].exponents)
