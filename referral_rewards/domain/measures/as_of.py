"""As of when a report tells its amounts: an instant, or the end of a day on a calendar."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from referral_rewards.domain import calendar
from referral_rewards.domain.errors import RequestInvalid

#: What the member and the option are called, without the dashes.
FIELD: Final = "as_of"
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WRONG: Final = "is neither a day such as 2026-07-31 nor an instant such as 2026-07-31T22:00:00Z"


def moment_named(said: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the moment before which everything counts; None for now.

    A day is meant to its end on the calendar of ``zone``; today is not over, so it is now.

    Raises:
        RequestInvalid: if it is neither a day nor an instant with an offset, or lies ahead.
    """
    if _DAY.fullmatch(said):
        return _end_of(_day(said), zone, now)
    moment = _instant(said)
    if moment > now:
        raise RequestInvalid(f"{said} lies ahead", FIELD)
    return moment


def _instant(said: str) -> datetime:
    try:
        moment = datetime.fromisoformat(said)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise RequestInvalid(f"{said!r} {_WRONG}", FIELD) from None


def _day(said: str) -> date:
    try:
        return calendar.parse_day(said)
    except ValueError as error:
        raise RequestInvalid(str(error), FIELD) from None


def _end_of(day: date, zone: ZoneInfo, now: datetime) -> datetime | None:
    today = now.astimezone(zone).date()
    if day > today:
        raise RequestInvalid(f"{day} lies ahead", FIELD)
    return None if day == today else calendar.at_wall_clock(day + timedelta(days=1), time(), zone).astimezone(UTC)
