"""Formats instants and durations for people."""

from datetime import UTC, datetime, timedelta


def day(moment: datetime | None) -> str:
    """Return an instant to the minute, for people."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def age(length: timedelta) -> str:
    """Return an age in the largest unit that fits, for people."""
    seconds = max(0.0, length.total_seconds())
    for unit, of_it in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= of_it:
            return f"{int(seconds // of_it)} {unit}"
    return f"{int(seconds)} s"
