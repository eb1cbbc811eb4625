"""The scale of a timeline's picture: convert instants to positions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Final
from zoneinfo import ZoneInfo

from referral_rewards.reporting.referrals.timeline import Timeline

#: The time axis spans these positions, in units of the picture.
LEFT, RIGHT = 92, 770
_MARGIN = 12
#: An idle time longer than the first share of the whole is shortened to the second share of the remaining time.
_LONG, _SHORTENED = 0.25, 0.08
#: The possible distances between two dates on the axis, in days; and their minimum distance in the picture.
_STEPS: Final = (1, 2, 7, 14, 28, 56, 91, 182, 364, 1820)
_DATES_MAX: Final = 9
_ROOM: Final = (RIGHT - LEFT) / _DATES_MAX


class Scale:
    """Converts instants to positions in the picture; ``breaks`` are the middles of shortened times."""

    def __init__(self, timeline: Timeline) -> None:
        spans = [(span.starts, span.ends) for span in timeline.spans if span.starts and span.ends]
        points = {timeline.now, *(mark.at for mark in timeline.marks), *(at for span in spans for at in span)}
        self._stretches = list(pairwise(sorted(points)))
        lengths = [(end - start).total_seconds() for start, end in self._stretches]
        self._idle = [
            length > _LONG * sum(lengths) and not any(a <= start and end <= b for a, b in spans)
            for length, (start, end) in zip(lengths, self._stretches, strict=True)
        ]
        lively = sum(length for length, idle in zip(lengths, self._idle, strict=True) if not idle) or 1.0
        drawn = [_SHORTENED * lively if idle else length for length, idle in zip(lengths, self._idle, strict=True)]
        unit = (RIGHT - LEFT - 2 * _MARGIN) / (sum(drawn) or 1.0)
        self._places = [float(LEFT + _MARGIN)]
        for length in drawn:
            self._places.append(self._places[-1] + unit * length)
        self.breaks = [
            (left + right) / 2 for idle, (left, right) in zip(self._idle, pairwise(self._places), strict=True) if idle
        ]

    def x(self, moment: datetime) -> float:
        """Return the position of an instant from the left; an instant outside of the drawn time is at the start."""
        for (start, end), (left, right) in zip(self._stretches, pairwise(self._places), strict=True):
            if start <= moment <= end:
                return left + (moment - start) / (end - start) * (right - left)
        return self._places[0]

    def days(self, zone: ZoneInfo) -> list[datetime]:
        """Return the midnights labelled on the axis: few enough to be readable, none in shortened times."""
        for step in _STEPS:
            found = list(islice(self._midnights(zone, timedelta(days=step)), _DATES_MAX + 1))
            places = [self.x(each) for each in found]
            if len(found) <= _DATES_MAX and all(right - left >= _ROOM for left, right in pairwise(places)):
                return found
        return []

    def _midnights(self, zone: ZoneInfo, step: timedelta) -> Iterator[datetime]:
        following: datetime | None = None
        for idle, (start, end) in zip(self._idle, self._stretches, strict=True):
            if idle:
                following = None
                continue
            local = start.astimezone(zone)
            if following is None:
                following = datetime(local.year, local.month, local.day, tzinfo=zone) + timedelta(days=1)
            while following <= end:
                yield following
                following += step
