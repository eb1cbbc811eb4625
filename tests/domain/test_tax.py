"""Tax thresholds: dated, per regime, reached at the very amount, and never guessed."""

from decimal import Decimal

import pytest

from referral_rewards.domain.calendar import zone
from referral_rewards.domain.payees.tax_thresholds import (
    THRESHOLDS,
    cleared,
    may_be_paid,
    threshold,
    withheld,
    year_begins,
    year_of,
)
from tests.domain.build import TICK, at


@pytest.mark.parametrize(
    ("year", "total_minor", "form", "expected"),
    [
        (2025, 599_99, False, True),
        (2025, 600_00, False, False),
        (2025, 600_00, True, True),
        (2026, 600_00, False, True),
        (2026, 1_999_99, False, True),
        (2026, 2_000_00, False, False),
        (2026, 2_000_00, True, True),
        (2030, 2_000_00, False, False),
    ],
)
def test_payee_at_the_threshold_needs_a_form(year: int, total_minor: int, form: bool, expected: bool) -> None:
    assert cleared("us", year, total_minor, form) is expected


def test_program_without_a_regime_has_no_threshold() -> None:
    assert threshold("none", 2026) is None
    assert cleared("none", 2026, 10**12, form_on_file=False)


def test_unknown_regime_is_never_cleared() -> None:
    with pytest.raises(KeyError):
        cleared("atlantis", 2026, 1, form_on_file=True)


@pytest.mark.parametrize("regime", THRESHOLDS)
def test_thresholds_reach_back_for_ever_ascend_and_name_their_source(regime: str) -> None:
    dated = THRESHOLDS[regime]
    assert dated[0].since == 0
    assert [each.since for each in dated] == sorted({each.since for each in dated})
    assert all(each.source for each in dated)


LIMIT = 2_000_00


@pytest.mark.parametrize(
    ("form", "currency", "before", "amount", "expected"),
    [
        (False, "USD", 0, LIMIT - 1, True),
        (False, "USD", 0, LIMIT, False),
        (False, "USD", LIMIT - 2, 1, True),
        (False, "USD", LIMIT - 1, 1, False),
        (False, "USD", LIMIT, 1, False),
        (True, "USD", LIMIT, 1, True),
        (False, "USD", None, 1, False),
        (True, "USD", None, 1, True),
        (False, "EUR", 0, 1, False),
        (True, "EUR", 0, 1, True),
    ],
)
def test_payee_may_be_paid_up_to_a_minor_unit_below_the_threshold(
    form: bool, currency: str, before: int | None, amount: int, expected: bool
) -> None:
    asked = {"form_on_file": form, "before_minor": before, "amount_minor": amount}
    assert may_be_paid("us", currency, 2026, **asked) is expected  # type: ignore[arg-type]
    assert may_be_paid("none", currency, 2026, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("UTC", "2027-01-01T00:00:00"),
        ("America/New_York", "2027-01-01T05:00:00"),
        ("Pacific/Auckland", "2026-12-31T11:00:00"),
    ],
)
def test_the_year_turns_on_the_programs_clock(name: str, begins: str) -> None:
    where = zone(name)
    assert year_begins(2027, where) == at(begins)
    assert (year_of(at(begins) - TICK, where), year_of(at(begins), where)) == (2026, 2027)


@pytest.mark.parametrize(
    ("gross", "percent", "step", "expected"),
    [
        (100_00, "0", 1, 0),
        (100_00, "24", 1, 24_00),
        (1, "49.9", 1, 0),
        (1, "50", 1, 1),
        (333, "24", 1, 80),
        (125, "10", 1, 13),
        (100_00, "100", 1, 100_00),
        (1_234, "24", 10, 300),
        (1_250, "24", 100, 300),
        (10_000, "0.45", 100, 0),
        (10_000, "0.5", 100, 100),
        (105, "100", 10, 105),
        (5, "100", 1, 5),
    ],
)
def test_what_is_withheld_is_rounded_half_up_to_the_rails_step(
    gross: int, percent: str, step: int, expected: int
) -> None:
    assert withheld(gross, Decimal(percent), step) == expected
