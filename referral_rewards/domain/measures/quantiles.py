"""Medians and percentiles of durations, exact, from a histogram and the few values around the one in question.

A million durations are counted by logarithmic steps. Only the values of the step that holds the quantile are read.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

#: Each step of the histogram is so much longer than the one before: small enough that one holds few values.
_STEP: Final = math.log(1.02)


def step_of(duration: int) -> int:
    """Return the step of the histogram that a duration, in any unit, is counted in; a longer one never has a lower
    step."""
    return 0 if duration <= 0 else 1 + int(math.log(duration) / _STEP)


def quantile(ordered: Sequence[int], share: float) -> float | None:
    """Return the quantile of durations in rising order, 0.5 for the median; between two values in proportion, as
    PostgreSQL's ``percentile_cont``. None if there are none."""
    if not ordered:
        return None
    below, part = _place(len(ordered), share)
    upper = ordered[min(below + 1, len(ordered) - 1)]
    return ordered[below] + (upper - ordered[below]) * part


class Around(NamedTuple):
    """Which steps hold the two values around a quantile, first and last, and how many durations stand below them."""

    first: int
    last: int
    below: int


def around(counted: Mapping[int, int], share: float) -> Around | None:
    """Return where to look for a quantile of durations that are counted by step. None if there are none."""
    steps = sorted(step for step, count in counted.items() if count)
    if not steps:
        return None
    ends = list(accumulate(counted[step] for step in steps))
    place, _ = _place(ends[-1], share)
    first = bisect_right(ends, place)
    last = bisect_right(ends, min(place + 1, ends[-1] - 1))
    return Around(steps[first], steps[last], ends[first] - counted[steps[first]])


def quantile_among(values: Sequence[int], where: Around, of: int, share: float) -> float:
    """Return the quantile of ``of`` durations, of which ``values`` in rising order are those in the steps ``where``
    says. Equal to `quantile` over all of them."""
    place, part = _place(of, share)
    lower = values[place - where.below]
    upper = values[min(place + 1, of - 1) - where.below]
    return lower + (upper - lower) * part


def _place(count: int, share: float) -> tuple[int, float]:
    """The position of a quantile among ``count`` values, and how far it lies towards the next."""
    position = (count - 1) * share
    below = math.floor(position)
    return below, position - below
