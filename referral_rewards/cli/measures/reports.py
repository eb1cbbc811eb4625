"""`referrals report`: a program's measures, and reports as files."""

from typing import Annotated

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data
from referral_rewards.cli.credentials import As
from referral_rewards.cli.measures import budget_report, lifetime_report, program_report
from referral_rewards.cli.money import liabilities
from referral_rewards.cli.output import Output, written

commands = typer.Typer(help="The measures of a program, and reports as files.", no_args_is_help=True)
commands.command("program")(program_report.program)
commands.command("budget")(budget_report.budget)
commands.command("lifetime")(lifetime_report.lifetime)
commands.command("liabilities")(liabilities.liabilities)


@commands.command()
def tax(
    year: Annotated[
        int, typer.Option("--year", min=1970, max=2999, help="The calendar year, on each program's clock.")
    ],
    regime: Annotated[
        str | None, typer.Option("--regime", metavar="REGIME", help="Only under this regime, such as us.")
    ] = None,
    as_json: AsJson = False,
    output: Output = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Write what each payee was paid in a calendar year, what of it is to be reported and what was withheld, in CSV or
    JSON."""
    options = {"year": "--year", "regime": "--regime"}
    asked = {"year": year, "regime": regime, "format": "json" if as_json else "csv"}
    with (
        api_of(data, user) as api,
        api.stream("GET", "/v1/reports/tax", options=options, **asked) as sent,
        written(output) as into,
    ):
        for block in sent.iter_text():
            into.write(block)
