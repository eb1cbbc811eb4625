"""Whether the parts of a process live: each beats while it works, and one that is silent for too long is dead.

A loop that hangs holds its process up as surely as one that ended, and no exception tells of it.
"""

import time
from collections.abc import Callable
from typing import Final

#: Processes look every ten seconds, and no look takes as long as this.
STALE_SECONDS: Final = 60.0


class Pulse:
    """The parts that were expected to beat, and when each did last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._within: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._alive: dict[str, Callable[[], bool]] = {}

    def expect(self, part: str, within_seconds: float) -> None:
        """Expect a first beat of this part within so many seconds from now, and each further one from the last."""
        self._within[part] = within_seconds
        self._last[part] = self._clock()

    def ask(self, part: str, is_alive: Callable[[], bool]) -> None:
        """Ask this part whether it lives, instead of waiting for its beats."""
        self._alive[part] = is_alive

    def beat(self, part: str, *, within_seconds: float | None = None) -> None:
        """Note that the part lives. ``within_seconds`` is how soon it will beat again, where that differs."""
        self._last[part] = self._clock()
        if within_seconds is not None:
            self._within[part] = within_seconds

    def silent(self) -> tuple[str, ...]:
        """Return the parts that do not live, by name."""
        now = self._clock()
        late = (part for part, within in self._within.items() if now - self._last[part] > within)
        return tuple(sorted({*late, *(part for part, is_alive in self._alive.items() if not is_alive())}))


class Readiness:
    """What keeps a process from its work, as it was found last: it is told in an instant, whatever is down.

    What was found long ago counts no more: whoever looks may hang itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._problem: str | None = "it has only begun"
        self._found_at = clock()

    @property
    def problem(self) -> str | None:
        """Return one sentence, or None if the process can do its work."""
        age = self._clock() - self._found_at
        if self._problem is None and age > STALE_SECONDS:
            return f"nobody has looked for {age:.0f} seconds whether it can"
        return self._problem

    def found(self, problem: str | None) -> None:
        """Note what was found: one sentence, or None if it can do its work."""
        self._problem, self._found_at = problem, self._clock()
