"""When a period ends, and what an amount is in minor units (SPEC §4, Arithmetic)."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from referral_rewards.audit.reading.told import Terms
from referral_rewards.domain.money import exponent

_DURATION: Final = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


def scaled(amount: Decimal, currency: str) -> Decimal:
    """An amount in minor units of its currency, with what is finer than one."""
    return amount.scaleb(exponent(currency))


def minor(amount: Decimal | str, currency: str) -> int:
    """An amount in whole minor units of its currency."""
    return int(scaled(Decimal(amount), currency))


def end(start: datetime, period: str, terms: Terms) -> datetime:
    """When a period that starts at ``start`` ends, in UTC: the first instant that is too late."""
    zone = zone_of(terms)
    months, days, exact = parts(period)
    calendar = start
    if months or days:
        calendar = _instant(_later(start.astimezone(zone).replace(tzinfo=None), months, days), zone)
    ends = max(start, calendar + exact)
    if terms["periods"].get("day_boundary", "instant") == "end_of_day":
        return _closing_midnight(ends, zone)
    return ends


def length(period: str) -> timedelta:
    """An exact length of time, such as the allowance; a day of it is 24 hours."""
    _, days, exact = parts(period)
    return timedelta(days=days) + exact


def zone_of(terms: Terms) -> ZoneInfo:
    """The program's time zone, from the pinned package, whatever the host has."""
    return _zone(terms["timezone"])


@cache
def _zone(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _later(wall: datetime, months: int, days: int) -> datetime:
    """Months first, clamped to the month's last day; then days."""
    year, month = divmod(wall.year * 12 + (wall.month - 1) + months, 12)
    last = monthrange(year, month + 1)[1]
    return wall.replace(year=year, month=month + 1, day=min(wall.day, last)) + timedelta(days=days)


def _closing_midnight(ends: datetime, zone: ZoneInfo) -> datetime:
    """The local midnight that closes the day of an end; one exactly at midnight stays."""
    day = ends.astimezone(zone).date()
    return ends if ends == _midnight(day, zone) else _midnight(day + timedelta(days=1), zone)


def parts(period: str) -> tuple[int, int, timedelta]:
    """The months, days and exact time of a period."""
    found = _DURATION.fullmatch(period)
    if found is None:
        raise ValueError(f"{period!r} is not an ISO 8601 duration")
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[:6])
    exact = timedelta(hours=hours, minutes=minutes, seconds=float(found[7] or 0))
    return years * 12 + months, weeks * 7 + days, exact


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as an instant: a skipped one moves forward by the gap, a repeated one is its first.

    PEP 495's ``fold=0`` is both: in a gap it reads with the offset before the change.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return _instant(datetime.combine(day, time.min), zone)
