"""`referrals report liabilities`: what is owed by the books at a date."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import Output, written
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display

OPTIONS: Final = {"as_of": "--as-of", "program": "--program"}
_PATH: Final = "/v1/reports/liabilities"

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="As of the end of that day, or an instant with its offset from UTC; now if not given.",
    ),
]


def liabilities(
    as_of: AsOf = None,
    program: Annotated[str | None, typer.Option("--program", metavar="PROGRAM", help="Only of this program.")] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, an account and currency a line.")] = False,
    output: Output = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Print what is owed at a date, by account: to payees, to customers as credit, to tax authorities, and what payees
    owe to us. Days are in UTC, as in the ledger."""
    asked: dict[str, Any] = {"as_of": as_of, "program": program}
    with api_of(data, user) as api:
        if as_csv:
            with api.stream("GET", _PATH, options=OPTIONS, format="csv", **asked) as sent, written(output) as into:
                for block in sent.iter_text():
                    into.write(block)
            return
        first, accounts = _all(api, asked)
    say_json({**first, "accounts": accounts, "next": None}) if as_json else _show(first, accounts)


def _all(api: Api, asked: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first page, and the accounts of all."""
    pages = api.pages(_PATH, OPTIONS, **asked)
    first = next(pages)
    return first, [each for page in (first, *pages) for each in page["accounts"]]


def _show(first: dict[str, Any], accounts: list[dict[str, Any]]) -> None:
    of = f" of {first['program']}" if first["program"] else ""
    listed = table("owner", "kind", "owed", title=f"Liabilities{of}, as of {first['as_of']}")
    for each in accounts:
        listed.add_row(each["owner"], label("account", each["kind"]), display(each["owed_minor"], each["currency"]))
    for total in first["totals"]:
        listed.add_section()
        listed.add_row("total", label("account", total["kind"]), display(total["owed_minor"], total["currency"]))
    tables().print(listed)
    for line in _tied(first):
        say(line)


def _tied(first: dict[str, Any]) -> Iterator[str]:
    """Whether the totals are those of the ledger, in a sentence for each that is not."""
    differ = [each for each in first["totals"] if each["difference_minor"]]
    if not differ:
        yield "These totals agree with the ledger."
    for each in differ:
        by = display(each["difference_minor"], each["currency"])
        yield f"{label('account', each['kind'])}: the ledger differs by {by}; run `referrals ledger check`."
