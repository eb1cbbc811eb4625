"""Ctrl-C while a process starts or ends: it ends at once, with code 130 and no traceback.

Loads nothing but the standard library's smallest modules, so that an entry point can call it before everything else.
"""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130


def end_at_once() -> None:
    """From now on Ctrl-C ends the process. Where whoever started it had Ctrl-C ignored, it stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_again() -> None:
    """From now on Ctrl-C raises `KeyboardInterrupt`, for code that has something to put in order first."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    # An exception raised in the middle of an import could be swallowed there, or end in a traceback of another kind.
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
