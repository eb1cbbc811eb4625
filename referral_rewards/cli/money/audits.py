"""`referrals audit`: derive every paid reward of a program again, and write the signed report."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer

from referral_rewards.audit import lines
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say
from referral_rewards.cli.credentials import As
from referral_rewards.cli.money.ledger import day_of
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.labels.sentences import counted

_DAY: Final = ["%Y-%m-%d"]
_OPTIONS: Final = {"from": "--from", "to": "--to", "cycle": "--cycle"}


def audit(
    name: Annotated[str, typer.Argument(metavar="PROGRAM", help="The program.")],
    cycle: Annotated[
        datetime | None,
        typer.Option("--cycle", metavar="DATE", formats=_DAY, help="Only what the payout cycle of this day paid."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", metavar="DATE", formats=_DAY, help="The first day, on the program's calendar."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", metavar="DATE", formats=_DAY, help="The day after the last one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the report there: audit.json and audit.html.")
    ] = None,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Derive every paid reward of a program again, print what is wrong, and end with 1 if anything is."""
    asked: dict[str, Any] = {"cycle": day_of(cycle), "from_": day_of(since), "to": day_of(until)}
    if out is not None and out.exists() and not out.is_dir():
        raise BadInput([Problem("--out", f"{out} is no folder")])
    with TemporaryDirectory() as spare:
        folder = Path(spare) if out is None else out
        folder.mkdir(parents=True, exist_ok=True)
        report = folder / "audit.json"
        with (
            api_of(data, user) as api,
            api.stream("GET", f"/v1/reports/audit/{name}", options=_OPTIONS, **asked) as sent,
            report.open("wb") as into,
        ):
            into.writelines(sent.iter_bytes())
        found = _show(report, as_json=as_json)
        if out is not None:
            _write_page(report, folder / "audit.html")
    raise typer.Exit(FOUND_PROBLEMS if found else DONE)


def _show(report: Path, *, as_json: bool) -> int:
    """Prints the report, or a line for each finding and what it comes to; how many there are."""
    statement, _ = lines.end(report)
    if as_json:
        with report.open(encoding="utf-8") as text:
            for line in text:
                say(line.rstrip("\n"))
    else:
        for each in lines.findings(report):
            about = " ".join(part for part in (each["referral"], each["role"]) if part) or "no reward"
            say(f"{about}: {each['part']}: {each['what']} ({each['where']})")
        say(f"{counted(statement['rewards']['count'], 'reward')}, {counted(statement['findings']['count'], 'finding')}")
    return int(statement["findings"]["count"])


def _write_page(report: Path, to: Path) -> None:
    from referral_rewards.audit import page  # here, as templates cost more than all else of this command

    with to.open("w", encoding="utf-8") as into:
        into.writelines(page.written(report))
