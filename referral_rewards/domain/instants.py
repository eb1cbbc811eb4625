"""Formats instants and durations for people."""

from datetime import UTC, datetime, timedelta


def day(moment: datetime | None) -> str:
    """Return an instant to the minute, for people."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def lasted(seconds: float | None) -> str:
    """Return a duration in its two largest units, ``16 d 3 h``, for people; a dash for none."""
    if seconds is None:
        return "–"
    left, said = timedelta(seconds=seconds), list[str]()
    for unit, of_it in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        count, left = divmod(left, of_it)
        said += [f"{count} {unit}"] if count else []
    return " ".join(said[:2]) or f"{seconds:.3g} s"


def age(length: timedelta) -> str:
    """Return an age in the largest unit that fits, for people."""
    seconds = max(0.0, length.total_seconds())
    for unit, of_it in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= of_it:
            return f"{int(seconds // of_it)} {unit}"
    return f"{int(seconds)} s"
