"""When a waiting claim is overdue, and when it is escalated."""

import pytest

from referral_rewards.domain.decisions.waiting import Patience, patience
from tests.domain.build import acme, at


@pytest.mark.parametrize(
    ("zone", "since", "remind_at", "escalate_at"),
    [
        ("UTC", "2026-03-06T12:00:00", "2026-03-08T12:00:00", "2026-03-11T12:00:00"),
        # Toronto's clocks go forward on 8 March: the same time of day comes an hour earlier.
        ("America/Toronto", "2026-03-06T17:00:00", "2026-03-08T16:00:00", "2026-03-11T16:00:00"),
    ],
)
def test_patience_ends_at_the_same_time_of_day_in_the_programs_zone(
    zone: str, since: str, remind_at: str, escalate_at: str
) -> None:
    assert patience(at(since), acme(timezone=zone)) == Patience(at(remind_at), at(escalate_at))
