"""What a person sees while the demo runs: a line for each thing that happened, with the seconds since the start."""

import time

from rich.console import Console


class Progress:
    """Says what happens, in whole lines, so that a log file reads as well as a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def say(self, line: str) -> None:
        self.console.print(f"{self.seconds:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)
