"""When the payout cycles of a program fall due: once a month or once a week, on days of the program's own calendar."""

import calendar as months_of_the_year
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from referral_rewards.domain.calendar import at_wall_clock
from referral_rewards.domain.programs.sections import PayoutCycle

#: The wall-clock time at which a cycle opens on its day: before the working day, and past the hours in which clocks
#: are changed, so that it is neither skipped nor comes twice.
OPENS: Final = time(6)


def opens_at(due_on: date, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which the cycle of that day opens."""
    return at_wall_clock(due_on, OPENS, zone)


def latest_due(timing: PayoutCycle, zone: ZoneInfo, now: datetime) -> date:
    """The last day on which a cycle has opened by ``now``."""
    today = now.astimezone(zone).date()
    due = _on_or_before(timing, today)
    return due if opens_at(due, zone) <= now else _on_or_before(timing, due - timedelta(days=1))


def next_due(timing: PayoutCycle, zone: ZoneInfo, now: datetime) -> date:
    """The first day on which a cycle opens after ``now``."""
    after = latest_due(timing, zone, now)
    if timing.cycle == "weekly":
        return after + timedelta(days=7)
    following = after.replace(day=1) + timedelta(days=31)
    return day_of_month(timing.day, following.year, following.month)


def day_of_month(day: int, year: int, month: int) -> date:
    """That day of the month, or its last one if it has fewer."""
    return date(year, month, min(day, months_of_the_year.monthrange(year, month)[1]))


def _on_or_before(timing: PayoutCycle, day: date) -> date:
    if timing.cycle == "weekly":
        return day - timedelta(days=(day.isoweekday() - timing.day) % 7)
    this = day_of_month(timing.day, day.year, day.month)
    if this <= day:
        return this
    before = day.replace(day=1) - timedelta(days=1)
    return day_of_month(timing.day, before.year, before.month)
