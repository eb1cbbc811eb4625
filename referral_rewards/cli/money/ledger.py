"""`referrals ledger`: the books, as a trial balance and as files for those who keep them elsewhere."""

import json
import sys
from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli import administration
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import Output, written
from referral_rewards.domain.money import display

commands = typer.Typer(help="The double-entry books of what was approved, paid and taken back.", no_args_is_help=True)


class Format(StrEnum):
    """What an export is written as."""

    BEANCOUNT = "beancount"
    CSV = "csv"


_DAY: Final = ["%Y-%m-%d"]
At = Annotated[
    datetime | None, typer.Option("--at", metavar="DATE", formats=_DAY, help="At the end of that day, in UTC.")
]
Since = Annotated[datetime | None, typer.Option("--since", metavar="DATE", formats=_DAY, help="The first day, in UTC.")]
Until = Annotated[datetime | None, typer.Option("--until", metavar="DATE", formats=_DAY, help="The last day, in UTC.")]


@commands.command()
def balance(
    at: At = None,
    everything: Annotated[bool, typer.Option("--all", help="Also accounts with a zero balance.")] = False,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Print the trial balance: each account by currency, and that debits and credits come to the same."""
    day = day_of(at)
    with api_of(data, user) as api:
        pages = api.pages("/v1/ledger/balance", {"at": "--at"}, limit=_PAGE, at=day, settled=everything)
        first = next(pages)
        accounts = (each for page in (first, *pages) for each in page["accounts"])
        _write_json(day, first["totals"], accounts) if as_json else _print_table(day, first["totals"], accounts)


def _write_json(day: date | None, totals: list[dict[str, Any]], accounts: Iterator[dict[str, Any]]) -> None:
    """An object with an account a line, written as they are read."""
    said = json.dumps(day.isoformat() if day else None)
    sys.stdout.write(f'{{"at": {said}, "totals": {json.dumps(totals)}, "accounts": [')
    between = "\n"
    for each in accounts:
        sys.stdout.write(between + json.dumps(each, ensure_ascii=False))
        between = ",\n"
    sys.stdout.write("]}\n" if between == "\n" else "\n]}\n")


def _print_table(day: date | None, totals: list[dict[str, Any]], accounts: Iterator[dict[str, Any]]) -> None:
    listed = table("account", "currency", "debit", "credit", title=f"As of {day or 'now'}")
    for each in accounts:
        listed.add_row(each["account"], each["currency"], *_columns(each))
    for total in totals:
        listed.add_section()
        listed.add_row("", total["currency"], *_columns(total))
    tables().print(listed)


@commands.command()
def export(
    format_: Annotated[Format, typer.Option("--format", help="Beancount text, or CSV with one line for each posting.")],
    since: Since = None,
    until: Until = None,
    output: Output = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Write the books of a span of days, both included. Ids stand in them, and nothing personal."""
    asked = {"format": format_, "since": day_of(since), "until": day_of(until)}
    with (
        api_of(data, user) as api,
        api.stream("GET", "/v1/ledger/export", options=_SPAN, **asked) as sent,
        written(output) as into,
    ):
        for block in sent.iter_text():
            into.write(block)


commands.command("check")(administration.check_ledger)

_SPAN: Final = {"since": "--since", "until": "--until"}
_PAGE: Final = 5000


def day_of(moment: datetime | None) -> date | None:
    """The day that an option names."""
    return None if moment is None else moment.date()


def _columns(each: dict[str, Any]) -> tuple[str, ...]:
    amounts = (each["debit_minor"], each["credit_minor"])
    return tuple(display(minor, each["currency"]) if minor else "" for minor in amounts)
