"""What every list takes on the command line beside its own filters: days, an order, and what all of it comes to."""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from referral_rewards.cli.console import say, say_json, tell
from referral_rewards.cli.output import Column, Form, write_list
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display

if TYPE_CHECKING:
    from referral_rewards.cli.client import Api

Since = Annotated[
    str | None,
    typer.Option("--from", metavar="DAY", help="From this day on; of the program named, else in UTC."),
]
Until = Annotated[str | None, typer.Option("--to", metavar="DAY", help="To before this day.")]
Order = Annotated[str | None, typer.Option("--sort", metavar="ORDER", help="The order; one of: newest, oldest, …")]
Summed = Annotated[bool, typer.Option("--totals", help="What all that match come to, by currency, and no list.")]

_OPTIONS: Final = {"from": "--from", "to": "--to", "sort": "--sort"}


class Chosen(NamedTuple):
    """What was chosen of that; None is not chosen."""

    since: str | None = None
    until: str | None = None
    sort: str | None = None
    totals: bool = False


def write_chosen(
    api: "Api",
    path: str,
    name: str,
    columns: Sequence[Column],
    form: Form,
    chosen: Chosen,
    wanted: Mapping[str, Any],
    options: Mapping[str, str] | None = None,
) -> None:
    """Write a list of the API to standard output, or what all of it comes to. As CSV it is the sheet that the API and
    the desk write: an amount has a column of its own there, and so has its currency.

    ``name`` is what the API calls its rows, ``wanted`` the list's own filters; ``options`` what they are called here.

    Raises:
        BadInput: with the problems that the API found.
    """
    known = {**{each: f"--{each.replace('_', '-')}" for each in wanted}, **_OPTIONS, **(options or {})}
    asked = {**wanted, "from_": chosen.since, "to": chosen.until, "sort": chosen.sort}
    if form.as_csv and not chosen.totals:
        _copy_sheet(api, path, form, known, asked)
    elif chosen.totals:
        write_totals(api.get(path, known, limit=1, totals=True, **asked)["totals"], form)
    else:
        write_list(columns, api.all(path, name, known, limit=form.page, **asked), form)


def _copy_sheet(api: "Api", path: str, form: Form, options: Mapping[str, str], asked: Mapping[str, Any]) -> None:
    """Copy the API's CSV, up to the limit; a row ends where the sheet says, not at the end of a line."""
    with api.stream("GET", path, options=options, format="csv", **asked) as sent:
        rows = csv.reader(f"{line}\n" for line in sent.iter_lines())
        written = csv.writer(sys.stdout, lineterminator="\n")
        written.writerows(rows if form.limit is None else islice(rows, form.limit + 1))


def write_totals(totals: Mapping[str, Any], form: Form) -> None:
    """Write what all that match come to, in every currency, whatever the limit of a list is."""
    if form.as_json:
        say_json(totals)
        return
    count = totals["count"]
    if totals["by_currency"] is None:
        tell(f"more than {count['count']:,} match: choose fewer days to see what they come to")
        return
    matching = f"{'at least ' if count['at_least'] else ''}{count['count']:,} match"
    if count["count"] and not totals["by_currency"]:  # a list without amounts, such as the log
        say(matching)
        return
    _write_sums(totals["by_currency"], form)
    tell(matching)


def _write_sums(by_currency: Sequence[Mapping[str, Any]], form: Form) -> None:
    names = list(dict.fromkeys(each for total in by_currency for each in total["sums_minor"]))
    columns = [
        Column("currency", lambda each: each["currency"]),
        Column("rows", lambda each: each["rows"]),
        *(_sum(name) for name in names),
    ]
    write_list(columns, by_currency, replace(form, limit=None))


def _sum(name: str) -> Column:
    return Column(label("sum", name), lambda each: display(each["sums_minor"][name], each["currency"]))
