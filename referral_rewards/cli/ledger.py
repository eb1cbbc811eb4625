"""`referrals ledger`: the books, as a trial balance and as files for those who keep them elsewhere."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.cli.console import AsJson, Data, database, say, say_json, settings, table, tables, tell
from referral_rewards.cli.output import Output, written
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.domain.money import display
from referral_rewards.reporting.books import beancount, checking, journal
from referral_rewards.reporting.books.balances import Wanted, balances, totals
from referral_rewards.reporting.books.span import Span, see_one_moment

commands = typer.Typer(help="The double-entry books of what was approved, paid and taken back.", no_args_is_help=True)


class Format(StrEnum):
    """What an export is written as."""

    BEANCOUNT = "beancount"
    CSV = "csv"


_EXPORTS: Final[dict[Format, Callable[[AsyncConnection, Span], AsyncIterator[str]]]] = {
    Format.BEANCOUNT: beancount.export,
    Format.CSV: journal.export,
}

_DAY: Final = ["%Y-%m-%d"]
At = Annotated[
    datetime | None, typer.Option("--at", metavar="DATE", formats=_DAY, help="At the end of that day, in UTC.")
]
Since = Annotated[datetime | None, typer.Option("--since", metavar="DATE", formats=_DAY, help="The first day, in UTC.")]
Until = Annotated[datetime | None, typer.Option("--until", metavar="DATE", formats=_DAY, help="The last day, in UTC.")]


@commands.command()
def balance(
    at: At = None,
    everything: Annotated[bool, typer.Option("--all", help="Also accounts that come to nothing.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Print the trial balance: each account by currency, and that debits and credits come to the same."""
    span = Span.of(None, _day(at))
    wanted = Wanted(before=span.ends_before, settled=everything)
    asyncio.run(_write_json(span, wanted, data) if as_json else _print_table(span, wanted, data))


async def _write_json(span: Span, wanted: Wanted, data: Path | None) -> None:
    """An object with an account a line, written as they are read."""
    async with database(settings(data)) as opened, opened.transaction() as connection:
        await see_one_moment(connection)
        sums = [each.as_json() for each in await totals(connection, span.ends_before)]
        day = span.until.isoformat() if span.until else None
        sys.stdout.write(f'{{"at": {json.dumps(day)}, "totals": {json.dumps(sums)}, "accounts": [')
        between = "\n"
        async for each in balances(connection, wanted):
            sys.stdout.write(between + json.dumps(each.as_json(), ensure_ascii=False))
            between = ",\n"
        sys.stdout.write("]}\n" if between == "\n" else "\n]}\n")


async def _print_table(span: Span, wanted: Wanted, data: Path | None) -> None:
    listed = table("account", "currency", "debit", "credit", title=f"As of {span.until or 'now'}")
    async with database(settings(data)) as opened, opened.transaction() as connection:
        await see_one_moment(connection)
        async for each in balances(connection, wanted):
            listed.add_row(each.account, each.currency, *_columns(each.debit_minor, each.credit_minor, each.currency))
        sums = await totals(connection, span.ends_before)
    for total in sums:
        listed.add_section()
        listed.add_row("", total.currency, *_columns(total.debit_minor, total.credit_minor, total.currency))
    tables().print(listed)


@commands.command()
def export(
    format_: Annotated[Format, typer.Option("--format", help="Beancount's text, or one line a posting in CSV.")],
    since: Since = None,
    until: Until = None,
    output: Output = None,
    data: Data = None,
) -> None:
    """Write the books of a span of days, both included. Ids stand in them, and nothing personal."""
    span = Span.of(_day(since), _day(until))

    async def work(into: TextIO) -> None:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            await see_one_moment(connection)
            async for each in _EXPORTS[format_](connection, span):
                into.write(each)

    with written(output) as into:
        asyncio.run(work(into))


@commands.command()
def check(as_json: AsJson = False, data: Data = None) -> int:
    """Check that the books say what the register does, of every leg, payout and clawback. Exit code 1 if they don't."""

    async def work() -> list[str]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            await see_one_moment(connection)
            return [each async for each in checking.problems(connection)]

    found = asyncio.run(work())
    if as_json:
        say_json({"agree": not found, "problems": found})
    else:
        for problem in found:
            tell(problem)
        if not found:
            say("the books say what the register does")
    return FOUND_PROBLEMS if found else DONE


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _columns(debit_minor: int, credit_minor: int, currency: str) -> tuple[str, str]:
    def shown(amount_minor: int) -> str:
        return display(amount_minor, currency) if amount_minor else ""

    return shown(debit_minor), shown(credit_minor)
