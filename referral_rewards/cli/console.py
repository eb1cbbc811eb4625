"""What every command shares: where its stack is, and where words go.

What was asked for goes to standard output, everything else (progress, problems) to standard error.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # loaded by the function that needs them: most commands start without
    from rich.console import Console
    from rich.table import Table

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the local stack (or REFERRALS_DATA); .local if not given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")]


def say(line: str) -> None:
    """A line that was asked for."""
    sys.stdout.write(f"{line}\n")


def say_json(value: Any) -> None:
    """A JSON value that was asked for."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def tell(line: str) -> None:
    """A line beside what was asked for: a problem, or how far things are."""
    sys.stderr.write(f"{line}\n")


def tables() -> "Console":
    """Where prose and its tables go: wrapped to the terminal, and as whole lines where there is none."""
    from referral_rewards.cli.pages import Page

    return Page()


def table(*columns: str, **how: Any) -> "Table":
    """A table whose cells are folded, never cut: half an id or half a status is none."""
    from rich.table import Table

    made = Table(*columns, **how)
    for column in made.columns:
        column.overflow = "fold"
    return made


def people_needed(routes: Sequence[str], people: int) -> str:
    """Who must approve, in words."""
    from referral_rewards.domain.labels.vocabularies import labels

    each = "every one of " if len(routes) > 1 else ""
    return f"{each}{', '.join(labels('role', routes))} ({'1 person' if people == 1 else f'at least {people} people'})"


def progress_console() -> "Console":
    """Where progress is shown, on a terminal only."""
    from rich.console import Console

    return Console(stderr=True)
