"""How far the clock of a process may be from the database's."""

from datetime import UTC, datetime, timedelta

import pytest

from referral_rewards.domain.clocks import APART_MAX, need_the_same
from referral_rewards.domain.errors import ClocksApart
from referral_rewards.domain.facts.events import CLOCK_SKEW_MAX

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [timedelta(), APART_MAX, -APART_MAX], ids=str)
def test_clocks_that_differ_little_are_believed(ahead: timedelta) -> None:
    need_the_same(NOON + ahead, NOON)


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (timedelta(minutes=2, microseconds=1), "2 min ahead of the database's"),
        (timedelta(hours=2), "2 h ahead of the database's"),
        (-timedelta(days=1, hours=6), "1 d 6 h behind the database's"),
    ],
    ids=str,
)
def test_clocks_that_differ_more_are_told(ahead: timedelta, told: str) -> None:
    with pytest.raises(ClocksApart, match=told):
        need_the_same(NOON + ahead, NOON)


def test_two_processes_that_are_believed_differ_by_less_than_a_fact_may_be_ahead() -> None:
    assert 2 * APART_MAX < CLOCK_SKEW_MAX
