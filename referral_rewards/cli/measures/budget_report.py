"""`referrals report budget`: how much of a program's budget is used, and how much would be left."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.measures.program_report import PATIENCE
from referral_rewards.cli.money.liabilities import AsOf
from referral_rewards.cli.output import Output, written
from referral_rewards.domain.measures.definitions import DEFINITIONS
from referral_rewards.domain.money import display

_OPTIONS: Final = {"as_of": "--as-of"}


def budget(
    name: Annotated[str, typer.Argument(metavar="PROGRAM", help="The program.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, a figure a line, money in minor units.")] = False,
    output: Output = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Print what a program spent, approved and still owes, what waits for approvers, what is in its return period, and
    how much of the budget would be left."""
    path = f"/v1/reports/budget/{name}"
    with api_of(data, user) as api:
        if as_csv:
            with api.stream("GET", path, options=_OPTIONS, format="csv", as_of=as_of) as sent, written(output) as into:
                for block in sent.iter_text():
                    into.write(block)
            return
        found = api.get(path, _OPTIONS, timeout=PATIENCE, as_of=as_of)
    say_json(found) if as_json else _show(found)


def _show(report: dict[str, Any]) -> None:
    its = report["budget"]
    listed = table("", "amount", title=f"Budget of {report['program']}; as of {report['as_of']}")
    for said, amount in lines(its):
        listed.add_row(said, amount)
    tables().print(listed)
    if its["warning"]:
        say(f"Warning: {its['warning']}")
    if report["behind"]:
        say(f"{report['behind']} referrals changed so lately that they count as they stood before.")


def lines(its: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each figure in words, and its amount: of each currency, and then what is left of the budget."""
    for each in its["spending"]:
        for figure in ("spent", "approved", "waiting", "expected"):
            yield DEFINITIONS[f"budget_{figure}"].name, display(each[f"{figure}_minor"], each["currency"])
    if its["budget_minor"] is None:
        yield DEFINITIONS["budget"].name, "none"
        return
    yield DEFINITIONS["budget"].name, display(its["budget_minor"], its["currency"])
    yield DEFINITIONS["budget_used"].name, display(its["spending"][0]["used_minor"], its["currency"])
    for figure in ("left", "left_after_waiting", "left_after_all"):
        yield DEFINITIONS[f"budget_{figure}"].name, display(its[f"{figure}_minor"], its["currency"])
