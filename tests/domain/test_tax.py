"""Tax thresholds: dated, per regime, reached at the very amount, and never guessed."""

import pytest

from referral_rewards.domain.tax import THRESHOLDS, cleared, threshold


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
