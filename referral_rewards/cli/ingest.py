"""`referrals ingest`: a file of facts into the register, and a wait for what comes of them."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from models.session import Database
from referral_rewards.cli.console import Data, database, progress_console, say, settings, tell
from referral_rewards.cli.problems import BAD_INPUT, DONE, FOUND_PROBLEMS, INTERRUPTED
from referral_rewards.domain.errors import Problem
from referral_rewards.register.facts.file_intake import FileIntake, Tally
from referral_rewards.register.facts.files import FactFile
from referral_rewards.reporting.referrals import listing as at_rest

_POLL_SECONDS = 0.2

File = Annotated[Path, typer.Argument(metavar="FILE.jsonl|FILE.csv", help="One CloudEvent a line, or a row.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until every referral it touches waits for a timer or a person.")]
Strict = Annotated[bool, typer.Option("--strict", help="All of the file or nothing of it.")]


def ingest(file: File, wait: Wait = False, strict: Strict = False, data: Data = None) -> int:
    """Take a file of facts in. Taken in again, what is known changes nothing."""
    return asyncio.run(_ingest(FactFile.at(file), wait, strict, data))


async def _ingest(file: FactFile, wait: bool, strict: bool, data: Path | None) -> int:
    chosen = settings(data)
    async with database(chosen) as opened:
        try:
            tally = await _take(file, opened, chosen.pepper_bytes(), strict)
        except asyncio.CancelledError:
            tell("interrupted; what is stored stays, ingest the same file again to go on")
            return INTERRUPTED
        bad = bool(tally.refused or tally.conflicts)
        if strict and bad:
            tell(f"nothing of {file.path} was stored")
            return BAD_INPUT
        await _say_counts(opened, tally)
        if wait and tally.batch is not None:
            try:
                await _wait(opened, tally.batch)
            except asyncio.CancelledError:
                tell("interrupted; everything is stored, only the waiting ended")
                return INTERRUPTED
        return FOUND_PROBLEMS if bad else DONE


async def _take(file: FactFile, opened: Database, pepper: bytes, strict: bool) -> Tally:
    with _progress() as bar:
        shown = bar.add_task(file.path.name, total=file.size)
        intake = FileIntake(opened, pepper, tell=_tell_problem, progress=lambda done: bar.update(shown, completed=done))
        return await (intake.take_whole(file) if strict else intake.take(file))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=progress_console(),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def _tell_problem(number: int, problem: Problem) -> None:
    tell(f"line {number}: {problem}")


async def _say_counts(opened: Database, tally: Tally) -> None:
    parked: dict[str, int] = {}
    if tally.batch is not None:
        async with opened.transaction() as connection:
            parked = await at_rest.parked(connection, tally.batch)
    counts = [f"{tally.recorded} recorded", f"{tally.repeated} repeated"]
    counts += [f"{tally.refused} refused", f"{tally.conflicts} in conflict"]
    counts += [f"{count} {'referral' if count == 1 else 'referrals'} parked ({why})" for why, count in parked.items()]
    say(", ".join(counts))


async def _wait(opened: Database, batch: UUID) -> None:
    """Polls until every referral of the batch is at rest; how many are not yet is shown on a terminal."""
    async with opened.transaction() as connection:
        touched = await at_rest.touched(connection, batch)
    asked = touched
    with progress_console().status("waiting") if sys.stderr.isatty() else _Quiet() as shown:
        while True:
            async with opened.transaction() as connection:
                moving = await at_rest.moving(connection, asked)
            if not moving and len(asked) == len(touched):
                return
            # Those at rest are asked for again at the end: another referral's claim may have moved one.
            asked = moving or touched
            if moving:
                shown.update(f"{len(moving)} of {len(touched)} referrals are being worked on")
                await asyncio.sleep(_POLL_SECONDS)


class _Quiet:
    """A status that nobody sees."""

    def __enter__(self) -> "_Quiet":
        return self

    def __exit__(self, *details: object) -> None:
        return None

    def update(self, status: str) -> None:
        return None
