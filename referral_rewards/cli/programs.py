"""`referrals program`: terms are checked, published, listed and shown."""

import asyncio
import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from referral_rewards.cli.console import AsJson, Data, database, say, say_json, settings, table, tables, tell
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.programs.terms import load_terms
from referral_rewards.domain.readiness.terms_review import unclear
from referral_rewards.register import programs

commands = typer.Typer(help="Programs and the versions of their terms.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE.yaml", help="Program terms.")]
Version = Annotated[int | None, typer.Option("--version", help="A version's number; the newest if not given.")]


@commands.command()
def lint(file: File) -> int:
    """Check terms: what they can't say, and then what nobody can have meant, each with its path. Needs no database."""
    terms = load_terms(read_text(file))
    if found := unclear(terms):
        for problem in found:
            tell(str(problem))
        return FOUND_PROBLEMS
    say(f"{file}: the terms of {terms.program} hold together")
    return DONE


@commands.command()
def publish(file: File, data: Data = None) -> None:
    """Publish terms as the program's next version. The same text again changes nothing."""
    source = read_text(file)
    terms = load_terms(source)

    async def work() -> programs.Published:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return await programs.publish(connection, source, by=getpass.getuser(), at=datetime.now(UTC))

    done = asyncio.run(work())
    if done.repeated:
        say(f"{done.program} version {done.version} has this very text already")
    else:
        released = f"; {done.released} referrals that waited for it go on" if done.released else ""
        say(f"{done.program} version {done.version} is published{released}")
    for problem in unclear(terms):
        tell(f"unclear: {problem}")


@commands.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List every version of every program."""

    async def work() -> list[dict[str, Any]]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return [dict(row._mapping) for row in await programs.listing(connection)]

    rows = asyncio.run(work())
    if as_json:
        say_json([{name: _json_value(value) for name, value in row.items()} for row in rows])
        return
    listed = table("program", "version", "name", "in force from", "published", "by")
    for row in rows:
        listed.add_row(*(str(_json_value(value)) for value in row.values()))
    tables().print(listed)


@commands.command()
def show(
    program: Annotated[str, typer.Argument(metavar="PROGRAM")], version: Version = None, data: Data = None
) -> None:
    """Show the terms as they were published, comments included."""

    async def work() -> str:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return await programs.shown(connection, program, version)

    say(asyncio.run(work()).rstrip("\n"))


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        BadInput: if it can't be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput([Problem(str(file), (error.strerror or str(error)).lower())]) from None
    except UnicodeDecodeError:
        raise BadInput([Problem(str(file), "is not UTF-8")]) from None


def _json_value(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
