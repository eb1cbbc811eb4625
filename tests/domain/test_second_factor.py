"""The codes of a second factor: which are right when, and that each is used once."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.people.second_factor import (
    NEED_ONE,
    SECONDS_A_STEP,
    Factor,
    in_groups,
    is_lacking,
    is_recovery_code,
    step_of,
)

#: The example of RFC 6238, appendix B, in base32: the eight digits there end in the six here.
RFC = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert step_of(RFC, code, at=at, after=0) == seconds // SECONDS_A_STEP


NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
STEP = int(NOW.timestamp()) // SECONDS_A_STEP


@pytest.mark.parametrize(
    ("off", "after", "found"),
    [
        (0, 0, True),
        (-1, 0, True),
        (1, 0, True),
        (-2, 0, False),
        (2, 0, False),
        (0, STEP, False),
        (1, STEP, True),
        (-1, STEP, False),
        (1, STEP + 1, False),
    ],
)
def test_a_code_is_right_for_three_steps_and_never_after_one_that_was_used(off: int, after: int, found: bool) -> None:
    code = pyotp.TOTP(RFC).generate_otp(STEP + off)
    assert step_of(RFC, code, at=NOW, after=after) == (STEP + off if found else None)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "٠٠٥٩٢٤", "1234 5"])
def test_what_is_no_code_is_wrong(typed: str) -> None:
    assert step_of(RFC, typed, at=NOW, after=0) is None


def test_a_code_may_be_typed_in_two_halves() -> None:
    code = pyotp.TOTP(RFC).generate_otp(STEP)
    assert step_of(RFC, f" {code[:3]} {code[3:]}", at=NOW, after=0) == STEP


@pytest.mark.parametrize(
    ("typed", "is_one"),
    [("ABCD EFGH IJKL 2345", True), ("abcd-efgh-ijkl-2345", True), ("ABCDEFGHIJKL234", False), ("123456", False)],
)
def test_a_recovery_code_is_told_from_a_code(typed: str, is_one: bool) -> None:
    assert is_recovery_code(typed) is is_one


def test_whoever_may_decide_or_give_authority_needs_one() -> None:
    assert frozenset(Role) == NEED_ONE, "a new role is one that decides, until somebody says otherwise"
    for factor in Factor:
        for role in Role:
            assert is_lacking(factor, [role]) is (factor is Factor.MISSING)
        assert not is_lacking(factor, [])


def test_a_secret_is_shown_in_groups() -> None:
    assert in_groups("ABCDEFGHIJ") == "ABCD EFGH IJ"


def test_a_minute_later_the_code_is_too_old() -> None:
    code = pyotp.TOTP(RFC).generate_otp(STEP)
    assert step_of(RFC, code, at=NOW + timedelta(seconds=2 * SECONDS_A_STEP), after=0) is None
