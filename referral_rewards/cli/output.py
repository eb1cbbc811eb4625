"""Where a command writes a file that may be long."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from referral_rewards.domain.errors import RequestInvalid

Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write there, not to standard output.")]


@contextmanager
def written(output: Path | None) -> Iterator[TextIO]:
    """Where an export goes. A file stands there whole or not at all: what was there stays until everything is written.

    Raises:
        RequestInvalid: if none can be made there.
    """
    if output is None:
        yield sys.stdout
        return
    # What is no file (a terminal, a pipe) is written to, never put aside.
    whole = not output.exists() or output.is_file()
    beside = output.with_name(f".{output.name}.{os.getpid()}") if whole else output
    try:
        opened = beside.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise RequestInvalid(f"{output} can't be written: {error.strerror}", "--output") from None
    try:
        with opened:
            yield opened
        if whole:
            beside.replace(output)
    finally:
        if whole:
            beside.unlink(missing_ok=True)


def cell(value: object) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    said = "" if value is None else str(value)
    return f"'{said}" if said[:1] in ("=", "+", "-", "@", "\t", "\r") else said
