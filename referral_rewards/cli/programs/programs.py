"""`referrals program` and `preflight`: terms are checked, published, listed and shown, and a program's gaps named.

Terms in files are read, and held to the form of terms before anything is asked of the API.
"""

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, write_list
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.cli.programs import life
from referral_rewards.cli.term_files import read_text, terms_of
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.labels.sentences import counted

commands = typer.Typer(help="Programs and the versions of their terms.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE.yaml", help="Program terms.")]
Version = Annotated[int | None, typer.Option("--version", help="A version's number; the newest if not given.")]


@commands.command()
def lint(file: File) -> int:
    """Check terms in a file: errors first, then values that look like mistakes, each with its path. Needs no API."""
    # Here, as no other command of this group waits for what checks terms.
    from referral_rewards.domain.programs.terms import load_terms
    from referral_rewards.domain.readiness.terms_review import unclear

    terms = load_terms(read_text(file))
    if found := unclear(terms):
        for problem in found:
            tell(str(problem))
        return FOUND_PROBLEMS
    say(f"{file}: the terms of {terms.program} hold together")
    return DONE


@commands.command()
def publish(file: File, user: As = None, data: Data = None) -> None:
    """Publish terms as the program's next version. The same text again changes nothing."""
    with api_of(data, user, Purpose.PUBLISH) as api:
        done = api.post("/v1/programs", {"terms": read_text(file)})
    if done["repeated"]:
        say(f"{done['program']} version {done['version']} has this very text already")
    else:
        released = _released(done["released"])
        say(f"{done['program']} version {done['version']} is published{released}")
    for problem in done["unclear"]:
        tell(f"unclear: {problem['where']}: {problem['what']}")


def _released(referrals: int) -> str:
    if not referrals:
        return ""
    return f"; {counted(referrals, 'referral')} that waited for it {'goes' if referrals == 1 else 'go'} on"


_COLUMNS: Final = (
    Column("program", lambda each: each["program"]),
    Column("version", lambda each: each["version"]),
    Column("name", lambda each: each["name"]),
    Column("in force from", lambda each: each["effective_from"]),
    Column("published", lambda each: each["published_at"], spare=1),
    Column("by", lambda each: each["published_by"], spare=2),
)


@commands.command("list")
def list_(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List every version of every program."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        write_list(_COLUMNS, api.get("/v1/programs"), form)


@commands.command()
def show(
    program: Annotated[str, typer.Argument(metavar="PROGRAM")],
    version: Version = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Show the terms as they were published, comments included, and whether the program is paused or has ended."""
    path = f"/v1/programs/{quote(program, safe='')}/terms"
    with (
        api_of(data, user) as api,
        api.stream("GET", path, options={"version": "--version"}, version=version) as sent,
    ):
        sent.read()
        say(sent.text.rstrip("\n"))
    life.warn(program, user, data)


for name, command in life.COMMANDS.items():
    commands.command(name)(command)

Judged = Annotated[
    Path | None, typer.Option("--terms", metavar="FILE.yaml", help="Terms to judge instead of the newest version.")
]


def preflight(
    program: Annotated[str, typer.Argument(metavar="PROGRAM")],
    file: Judged = None,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> int:
    """Check that a program is ready: its terms clear, billing and rails connected, people there for every decision."""
    terms = None if file is None else read_text(file)
    if file is not None and terms is not None:
        terms_of(terms, program, file, "--terms")
    with api_of(data, user) as api:
        found = api.post(f"/v1/programs/{quote(program, safe='')}/preflight", {"terms": terms}, timeout=120)
    if as_json:
        say_json(found)
        return DONE if found["ready"] else FOUND_PROBLEMS
    for gap in found["gaps"]:
        tell(_said(gap))
    if not found["ready"]:
        return FOUND_PROBLEMS
    say(f"{program} is ready")
    for remark in found["in_order"]:
        say(_said(remark))
    return DONE


def _said(remark: dict[str, Any]) -> str:
    return f"{remark['area']}: {remark['what']}"
