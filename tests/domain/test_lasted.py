"""How long something took, in words (`domain.instants.lasted`)."""

import pytest

from referral_rewards.domain.instants import lasted


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.797, "0.797 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (3_600.0, "1 h"),
        (5_400.0, "1 h 30 min"),
        (86_400.0 * 16 + 3_600 * 3 + 120, "16 d 3 h"),
        (86_400.0 + 120, "1 d 2 min"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float | None, said: str) -> None:
    assert lasted(seconds) == said
