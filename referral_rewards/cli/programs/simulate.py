"""`referrals simulate`: what a program's past would have come to under other terms. Writes nothing to the register."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import AsJson, Data, progress_console, say_json, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.programs.simulation_report import print_changed, print_simulation
from referral_rewards.cli.term_files import read_text, terms_of
from referral_rewards.domain.errors import BadInput, Problem, ReferralRewardsError

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much."""

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
    user: As = None,
    data: Data = None,
) -> None:
    """Replay a program's past under other terms: what would be approved, denied, expired, and what it would cost."""
    asked = {
        **_checked(program, terms, since, until, drawn),
        "approve_flagged": approve_flagged,
        "changed": changed,
        "picture": drawn is not None,
    }
    with api_of(data, user) as api, _bars() as progress:
        found = _simulated(api, program, asked, progress)
    simulation = found["simulation"]
    if drawn is not None:
        drawn.write_text(found["picture"], encoding="utf-8")
    if as_json:
        say_json(simulation)
        return
    print_simulation(simulation, str(terms), asked["since"], asked["until"])
    if changed:
        print_changed(simulation)


def _simulated(api: Api, program: str, asked: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """What the API says at the end, once it has told how far it is.

    Raises:
        ReferralRewardsError: if it came to nothing.
    """
    options = {"since": "--since", "until": "--until", "terms": "--terms"}
    with api.stream("POST", f"/v1/programs/{quote(program, safe='')}/simulations", body=asked, options=options) as sent:
        for line in sent.iter_lines():
            told: dict[str, Any] = json.loads(line)
            if "simulation" in told:
                return told
            if "problem" in told:
                raise ReferralRewardsError(told["problem"])
            each = told["progress"]
            progress(each["what"], each["done"], each["total"])
    raise ReferralRewardsError("the API ended its answer before the replay was done; ask again")


def _checked(program: str, file: Path, since: str | None, until: str | None, drawn: Path | None) -> dict[str, Any]:
    """The terms and the days that are asked for. What is unclear in the terms is told.

    Raises:
        BadInput: with every problem of the terms, the days and the picture's place.
    """
    from referral_rewards.domain.readiness.terms_review import unclear

    problems: list[Problem] = []
    text = ""
    try:
        text = read_text(file)
        found = unclear(terms_of(text, program, file, "program"))
    except BadInput as error:
        problems += error.problems
        found = []
    first, end = _day(since, "--since", problems), _day(until, "--until", problems)
    if first is not None and end is not None and end <= first:
        problems.append(Problem("--until", f"{end} is not after {first}: no referral can have begun between them"))
    if drawn is not None and not drawn.absolute().parent.is_dir():
        problems.append(Problem("--picture", f"there is no folder {drawn.parent} to draw it in"))
    elif drawn is not None and drawn.is_dir():
        problems.append(Problem("--picture", f"{drawn} is a folder"))
    if problems:
        raise BadInput(problems)
    for problem in found:
        tell(f"unclear: {problem}")
    return {"terms": text, "since": first and first.isoformat(), "until": end and end.isoformat()}


def _day(given: str | None, option: str, problems: list[Problem]) -> date | None:
    try:
        return date.fromisoformat(given) if given is not None else None
    except ValueError:
        problems.append(Problem(option, f"{given!r} is not a day such as 2026-01-31"))
        return None


@contextmanager
def _bars() -> Iterator[Progress]:
    """Shows how far the replay is, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=progress_console(),
        transient=True,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield told
