"""What each rail can refuse by itself, before anything is sent."""

from uuid import UUID

import pytest

from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, PayeeNeed, needs, step_minor, takes_reference
from referral_rewards.domain.payouts.rail_objections import ObjectionKind, objection
from referral_rewards.domain.payouts.states import PaymentRequest

K = ObjectionKind
#: A reference of the right form for each rail.
GOOD = {
    "account_credit": None,
    "manual": "method:0d7f4d0e-6f0b-4f2b-9b66-6f3a0b6d9c11",
    "paypal_payouts": "BRIEBRIEBRIE1",
    "stripe_balance": "cus_brie",
    "stripe_promotion": "cus_brie",
    "stripe_transfer": "acct_brie",
    "tremendous": None,
}


def request(destination: str | None, amount_minor: int = 25_00, currency: str = "USD") -> PaymentRequest:
    return PaymentRequest(UUID(int=1), "c-brie", amount_minor, currency, destination, "acme-friends", "r1")


def kind(rail: str, asked: PaymentRequest) -> ObjectionKind | None:
    found = objection(rail, asked)
    return None if found is None else found.kind


DESTINATIONS = [
    *(("account_credit", each, None) for each in (None, "", "anything")),
    *(("tremendous", each, None) for each in (None, "", "by-link")),
    ("manual", None, K.NO_METHOD),
    ("manual", "", K.MALFORMED),
    ("manual", "IBAN kept\nwith the personal data", None),
    ("paypal_payouts", None, K.NO_METHOD),
    ("paypal_payouts", "", K.MALFORMED),
    ("paypal_payouts", "brie@example.com", K.MALFORMED),
    ("paypal_payouts", "briebriebrie1", K.MALFORMED),
    ("paypal_payouts", "A" * 9, K.MALFORMED),
    ("paypal_payouts", "A" * 10, None),
    ("paypal_payouts", "A" * 32, None),
    ("paypal_payouts", "A" * 33, K.MALFORMED),
    ("paypal_payouts", "BRIEBRIEBRIE1\n", K.MALFORMED),
    ("stripe_balance", None, K.NO_METHOD),
    ("stripe_balance", "acct_brie", K.MALFORMED),
    ("stripe_balance", "cus_", K.MALFORMED),
    ("stripe_balance", "cus_é", K.MALFORMED),
    ("stripe_promotion", None, None),
    ("stripe_promotion", "acct_brie", K.MALFORMED),
    ("stripe_transfer", None, K.NO_METHOD),
    ("stripe_transfer", "cus_brie", K.MALFORMED),
    ("stripe_transfer", "acct_1/../refunds", K.MALFORMED),
    ("stripe_transfer", "method:0d7f4d0e", K.MALFORMED),
    *((rail, good, None) for rail, good in GOOD.items()),
]


@pytest.mark.parametrize(("rail", "destination", "expected"), DESTINATIONS)
def test_a_destination_is_of_the_rails_own_form(
    rail: str, destination: str | None, expected: ObjectionKind | None
) -> None:
    assert kind(rail, request(destination)) is expected


AMOUNTS = [
    *((rail, "USD", 1, None) for rail in GOOD),
    *((rail, "USD", minor, K.AMOUNT) for rail in GOOD for minor in (0, -1)),
    *((rail, currency, 10_000, K.CURRENCY)
      for rail in ("stripe_transfer", "stripe_balance", "stripe_promotion") for currency in ("IQD", "LYD", "CLF")),
    *((rail, currency, 10_000, None) for rail in ("manual", "account_credit") for currency in ("IQD", "LYD", "CLF")),
    ("paypal_payouts", "INR", 100, K.CURRENCY),
    ("tremendous", "LYD", 100, K.CURRENCY),
    ("tremendous", "IQD", 1, None),
    ("stripe_transfer", "KWD", 10, None),
    ("stripe_transfer", "KWD", 11, K.AMOUNT),
    ("stripe_transfer", "HUF", 100, None),
    ("stripe_transfer", "HUF", 101, K.AMOUNT),
    ("stripe_balance", "HUF", 101, None),
    ("stripe_balance", "MGA", 50, K.AMOUNT),
    ("paypal_payouts", "HUF", 150, K.AMOUNT),
    *((rail, "ZZZ", 100, K.CURRENCY) for rail in GOOD),
]  # fmt: skip


@pytest.mark.parametrize(("rail", "currency", "minor", "expected"), AMOUNTS)
def test_an_amount_is_one_that_the_rail_can_write(
    rail: str, currency: str, minor: int, expected: ObjectionKind | None
) -> None:
    assert kind(rail, request(GOOD[rail], minor, currency)) is expected


def test_no_objection_tells_of_the_payee() -> None:
    for rail in CATALOGUE:
        for destination in ("brie@example.com", "+14165550173"):
            found = objection(rail, request(destination, -1, "ZZZ"))
            assert found is not None
            assert "brie" not in found.why
            assert "416" not in found.why


def test_every_rail_of_the_catalogue_says_what_it_needs() -> None:
    assert set(GOOD) == set(CATALOGUE)
    for rail, facts in CATALOGUE.items():
        assert (kind(rail, request(None)) is K.NO_METHOD) is (needs(rail) is PayeeNeed.REFERENCE)
        assert takes_reference(rail) or facts.needs is not PayeeNeed.REFERENCE
        assert kind(rail, request(GOOD[rail], step_minor(rail, "USD"))) is None
