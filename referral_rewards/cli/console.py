"""What every command shares: where settings come from, how a database is got at, and where words go.

What was asked for goes to standard output, everything else (progress, problems) to standard error.
"""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.session import Database
from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.register.decisions.signing import KeyRing

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the local stack (or REFERRALS_DATA); .local if not given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")]


def settings(data: Path | None) -> Settings:
    """The settings by flag, environment and running local stack."""
    return Settings.load(data=data)


@asynccontextmanager
async def database(chosen: Settings) -> AsyncIterator[Database]:
    """The database of these settings, for the length of the block."""
    opened = Database.at(chosen.database_url, pool_size=2)
    try:
        yield opened
    finally:
        await opened.close()


def say(line: str) -> None:
    """A line that was asked for."""
    sys.stdout.write(f"{line}\n")


def say_json(value: Any) -> None:
    """A JSON value that was asked for."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def tell(line: str) -> None:
    """A line beside what was asked for: a problem, or how far things are."""
    sys.stderr.write(f"{line}\n")


def tables() -> Console:
    """Where tables go: as wide as the terminal, and wide enough for a whole row where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 240)


def table(*columns: str, **how: Any) -> Table:
    """A table whose cells are folded, never cut: half an id or half a status is none."""
    made = Table(*columns, **how)
    for column in made.columns:
        column.overflow = "fold"
    return made


def people_needed(routes: Sequence[str], people: int) -> str:
    """Who must approve, in words."""
    each = "every one of " if len(routes) > 1 else ""
    return f"{each}{', '.join(routes)} ({'1 person' if people == 1 else f'at least {people} people'})"


def progress_console() -> Console:
    """Where progress is shown, on a terminal only."""
    return Console(stderr=True)


def keys_of(chosen: Settings) -> KeyRing:
    """The keys that decisions are verified by.

    Raises:
        BadInput: if none are set: a decision that nobody can verify is not shown as one.
    """
    if chosen.verify_keys is None:
        raise BadInput([Problem(f"{PREFIX}VERIFY_KEYS", "not set; without public keys no decision can be verified")])
    return KeyRing.load(chosen.verify_keys)
