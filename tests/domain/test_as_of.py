"""As of when a report is: a day means its end on a calendar, an instant itself, and neither lies ahead."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.measures.as_of import moment_named

TORONTO = ZoneInfo("America/Toronto")
#: Still 31 July in Toronto.
NOW = datetime(2026, 8, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "zone", "moment"),
    [
        ("2026-07-30", TORONTO, datetime(2026, 7, 31, 4, tzinfo=UTC)),
        ("2026-01-31", TORONTO, datetime(2026, 2, 1, 5, tzinfo=UTC)),
        ("2026-07-30", ZoneInfo("UTC"), datetime(2026, 7, 31, tzinfo=UTC)),
        ("2026-07-31", ZoneInfo("UTC"), datetime(2026, 8, 1, tzinfo=UTC)),
        ("2026-07-31", TORONTO, None),
        ("2026-08-01", ZoneInfo("UTC"), None),
        ("2026-07-31T12:00:00-04:00", ZoneInfo("UTC"), datetime(2026, 7, 31, 16, tzinfo=UTC)),
        ("2026-07-31T12:00:00Z", TORONTO, datetime(2026, 7, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_day_is_meant_to_its_end(said: str, zone: ZoneInfo, moment: datetime | None) -> None:
    """Today is not over: it is now."""
    assert moment_named(said, zone, NOW) == moment


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("2026-08-01", "lies ahead"),
        ("2026-08-01T02:00:01Z", "lies ahead"),
        ("2026-07-32", "is not a day"),
        ("0001-01-01", "before 1900"),
        ("2026-07-31T12:00:00", "neither a day"),
        ("0001-01-01T00:00:00+14:00", "neither a day"),
        ("20260731", "neither a day"),
        ("yesterday", "neither a day"),
        ("", "neither a day"),
    ],
)
def test_what_is_no_moment_of_the_past_is_refused(said: str, says: str) -> None:
    with pytest.raises(RequestInvalid, match=says) as refused:
        moment_named(said, TORONTO, NOW)
    assert refused.value.problems[0].where == "as_of"
