"""`referrals simulate`: what a program's past would have come to under other terms. Writes nothing to the register."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from referral_rewards.cli.console import AsJson, Data, database, progress_console, say_json, settings, tell
from referral_rewards.cli.programs import read_text
from referral_rewards.cli.simulation_report import print_changed, print_simulation
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.programs.terms import Terms, load_terms
from referral_rewards.domain.readiness.terms_review import unclear
from referral_rewards.reporting.simulation.comparison import compare
from referral_rewards.reporting.simulation.form import simulation_form
from referral_rewards.reporting.simulation.picture import picture
from referral_rewards.reporting.simulation.simulating import Progress, Proposal, Simulation, simulate

Program = Annotated[str, typer.Argument(metavar="PROGRAM", help="The program whose past is replayed.")]
TermsFile = Annotated[Path, typer.Option("--terms", metavar="FILE.yaml", help="The other terms; not published.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Only referrals begun on this day or later.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="Only referrals begun before this day.")]
ApproveFlagged = Annotated[
    bool, typer.Option("--approve-flagged", help="Approve what a person would look at, unless it is advised against.")
]
Changed = Annotated[bool, typer.Option("--changed", help="List each referral that the terms make a difference to.")]
Picture = Annotated[Path | None, typer.Option("--picture", metavar="FILE.svg", help="Draw the flows into a file.")]


def simulate_(
    program: Program,
    terms: TermsFile,
    since: Since = None,
    until: Until = None,
    approve_flagged: ApproveFlagged = False,
    changed: Changed = False,
    drawn: Picture = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Replay a program's past under other terms: what would be approved, denied, expired, and what it would cost."""
    asked = _proposal(program, terms, since, until, approve_flagged, drawn)
    for problem in unclear(asked.terms):
        tell(f"unclear: {problem}")
    simulation = asyncio.run(_simulate(asked, data))
    if drawn is not None:
        drawn.write_text(picture(asked, compare(simulation.compared)), encoding="utf-8")
    if as_json:
        say_json(simulation_form(simulation, changed=changed).as_json())
        return
    print_simulation(simulation, str(terms))
    if changed:
        print_changed(simulation)


async def _simulate(asked: Proposal, data: Path | None) -> Simulation:
    with _bars() as progress:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return await simulate(connection, asked, progress)


def _proposal(
    program: str, file: Path, since: str | None, until: str | None, approve_flagged: bool, drawn: Path | None
) -> Proposal:
    """What is asked for.

    Raises:
        BadInput: with every problem of the terms, the days and the picture's place.
    """
    problems: list[Problem] = []
    terms = _terms(file, program, problems)
    first, end = _day(since, "--since", problems), _day(until, "--until", problems)
    if first is not None and end is not None and end <= first:
        problems.append(Problem("--until", f"{end} is not after {first}: no referral can have begun between them"))
    if drawn is not None and not drawn.absolute().parent.is_dir():
        problems.append(Problem("--picture", f"there is no folder {drawn.parent} to draw it in"))
    elif drawn is not None and drawn.is_dir():
        problems.append(Problem("--picture", f"{drawn} is a folder"))
    if problems or terms is None:
        raise BadInput(problems)
    return Proposal(
        terms=terms,
        now=datetime.now(UTC),
        since=_midnight(first, terms) if first else None,
        until=_midnight(end, terms) if end else None,
        approve_flagged=approve_flagged,
    )


def _terms(file: Path, program: str, problems: list[Problem]) -> Terms | None:
    """The terms of a file; None if they are not this program's, or no terms."""
    try:
        terms = load_terms(read_text(file))
    except BadInput as error:
        problems += error.problems
    else:
        if terms.program == program:
            return terms
        problems.append(Problem("program", f"{file} holds the terms of {terms.program}, not of {program}"))
    return None


def _day(given: str | None, option: str, problems: list[Problem]) -> date | None:
    try:
        return date.fromisoformat(given) if given is not None else None
    except ValueError:
        problems.append(Problem(option, f"{given!r} is not a day such as 2026-01-31"))
        return None


def _midnight(day: date, terms: Terms) -> datetime:
    """When the day begins in the program's time zone."""
    return datetime.combine(day, time(), terms.zone).astimezone(UTC)


@contextmanager
def _bars() -> Iterator[Progress]:
    """Shows how far the replay is, on a terminal only."""
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=progress_console(),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def told(what: str, more: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.advance(tasks[what], more)

        yield told
