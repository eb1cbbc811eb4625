"""The demo's progress output: one line per event, with the seconds since the start."""

import time

from rich.console import Console


class Progress:
    """Prints events as whole lines, so that they read well in a log file and on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._began

    def say(self, line: str) -> None:
        self.console.print(f"{self.seconds:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)
