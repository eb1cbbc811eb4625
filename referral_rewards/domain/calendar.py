"""Calendar arithmetic: when a period ends, for example a month in the time zone of Toronto (SPEC §4 Arithmetic)."""

import calendar as months_of_the_year
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_ISO_PERIOD: Final = re.compile(
    r"P(?=.)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)
#: Longer than any program runs; it keeps every end inside the calendar.
_LONGEST_YEARS: Final = 100
#: Days that people enter must lie in these years; dates calculated from them stay inside the calendar.
_DAYS_FROM_YEAR, _DAYS_TO_YEAR = 1900, 2999


class DayBoundary(StrEnum):
    """At which moment of its last day a period ends."""

    INSTANT = "instant"
    END_OF_DAY = "end_of_day"


@dataclass(frozen=True, slots=True)
class Period:
    """An ISO 8601 duration: calendar months and days on a local wall clock, then exact time."""

    months: int = 0
    days: int = 0
    exact: timedelta = timedelta()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``P30D``, ``P1Y2M``, ``P3W``, ``PT5S`` or a combination with the units in that order.

        Raises:
            ValueError: if it is malformed, negative or longer than a hundred years.
        """
        found = _ISO_PERIOD.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not an ISO 8601 duration such as P30D, P1M or PT1H (and not negative)")
        part = {name: value or "0" for name, value in found.groupdict().items()}
        too_long = ValueError(f"{text!r} is longer than {_LONGEST_YEARS} years")
        if any(len(value) > 16 for value in part.values()):
            raise too_long
        months = 12 * int(part["years"]) + int(part["months"])
        days = 7 * int(part["weeks"]) + int(part["days"])
        whole, _, fraction = part["seconds"].partition(".")
        seconds = 3600 * int(part["hours"]) + 60 * int(part["minutes"]) + int(whole)
        if months > 12 * _LONGEST_YEARS or max(days, seconds // 86_400) > 366 * _LONGEST_YEARS:
            raise too_long
        return cls(months, days, timedelta(seconds=seconds, microseconds=int(fraction.ljust(6, "0"))))

    @property
    def is_zero(self) -> bool:
        return self == Period()

    @property
    def in_words(self) -> str:
        """``30 days``, ``1 month and 5 days``, ``1 hour``."""
        years, months = divmod(self.months, 12)
        seconds = int(self.exact.total_seconds())
        counts = [(years, "year"), (months, "month"), (self.days, "day"), (seconds // 3600, "hour")]
        counts += [(seconds % 3600 // 60, "minute"), (seconds % 60, "second")]
        said = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counts if count]
        return " and ".join(said) or "none"

    def __str__(self) -> str:
        """Return the canonical spelling of this period."""
        years, months = divmod(self.months, 12)
        day = _spelled(years, "Y") + _spelled(months, "M") + _spelled(self.days, "D")
        minutes, seconds = divmod(self.exact.days * 86_400 + self.exact.seconds, 60)
        clock = _spelled(minutes // 60, "H") + _spelled(minutes % 60, "M")
        if self.exact.microseconds:
            clock += f"{seconds}.{self.exact.microseconds:06}".rstrip("0") + "S"
        else:
            clock += _spelled(seconds, "S")
        return "P" + day + ("T" + clock if clock else "") if day or clock else "P0D"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a pydantic field of this type read text and write the canonical text."""
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def _validated(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError("must be an ISO 8601 duration such as P30D, P1M or PT1H")
        return cls.parse(value)


@cache
def zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name from the pinned ``tzdata`` package: the host's rules may be older or newer.

    Raises:
        ValueError: if there is no such zone.
    """
    if name not in _zone_names():
        raise ValueError(f"{name!r} is not an IANA time zone such as America/Toronto")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def parse_day(text: str) -> date:
    """Parse a day such as ``2026-01-01``.

    Raises:
        ValueError: if it has another format, or its year is not between 1900 and 2999.
    """
    try:
        # Python also accepts 20260101 and 2026-W01-1, which people enter by mistake.
        day = date.fromisoformat(text if len(text) == 10 and text[4] == text[7] == "-" else "")
    except ValueError:
        raise ValueError(f"{text!r} is not a day such as 2026-01-01") from None
    if not _DAYS_FROM_YEAR <= day.year <= _DAYS_TO_YEAR:
        raise ValueError(f"{text!r} lies before {_DAYS_FROM_YEAR} or after {_DAYS_TO_YEAR}")
    return day


@lru_cache(maxsize=16_384)
def end_of(start: datetime, period: Period, zone: ZoneInfo, boundary: DayBoundary = DayBoundary.INSTANT) -> datetime:
    """Return the first instant (UTC) after the period; never before ``start``, which must be aware.

    Adds months first, clamped to the month's last day, then days, on the wall clock of ``zone``; then exact time. A
    period without a calendar part is never converted to local time, so a clock change can't stretch it.
    """
    end = start.astimezone(UTC)
    if period.months or period.days:
        wall = end.astimezone(zone)
        day = _months_later(wall.date(), period.months) + timedelta(days=period.days)
        end = at_wall_clock(day, wall.time(), zone)
    end += period.exact
    if boundary is DayBoundary.END_OF_DAY:
        end = _close_of_day(end, zone)
    return max(end, start.astimezone(UTC))


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, months_of_the_year.monthrange(year, month)[1]))


def at_wall_clock(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the instant of a wall-clock time. A skipped time moves forward by the gap; a repeated one is the first.

    ``fold=0`` gives both: in a gap it uses the offset from before the gap.
    """
    return datetime.combine(day, wall.replace(fold=0), zone).astimezone(UTC)


def _close_of_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the local midnight that ends the day of ``moment``; a moment exactly at midnight is returned unchanged.

    Midnight is compared as an instant, not as 00:00: where a spring change skips it, the day begins at 01:00.
    """
    day = moment.astimezone(zone).date()
    if moment == at_wall_clock(day, time(), zone):
        return moment
    return at_wall_clock(day + timedelta(days=1), time(), zone)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def _spelled(count: int, unit: str) -> str:
    return f"{count}{unit}" if count else ""
