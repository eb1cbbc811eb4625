"""`referrals report lifetime`: what referrers bring over time, by the month of their first referral and by referrer."""

from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.measures.program_report import PATIENCE, Partner, Referrer
from referral_rewards.cli.money.liabilities import AsOf
from referral_rewards.cli.output import Output, written
from referral_rewards.domain.money import display

_OPTIONS: Final = {"partner": "--partner", "referrer": "--referrer", "as_of": "--as-of"}
_COLUMNS: Final = ("customers", "orders", "revenue", "of it repeat", "reward cost", "value")


def lifetime(
    name: Annotated[str, typer.Argument(metavar="PROGRAM", help="The program.")],
    partner: Partner = None,
    referrer: Referrer = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, a referrer and currency a line, in minor units.")] = False,
    output: Output = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Print what the referees of referrers bring less what their rewards cost, by the month of a referrer's first
    referral. --json and --csv have each referrer, too."""
    path, asked = f"/v1/reports/lifetime/{name}", {"partner": partner, "referrer": referrer, "as_of": as_of}
    with api_of(data, user) as api:
        if as_csv:
            with api.stream("GET", path, options=_OPTIONS, format="csv", **asked) as sent, written(output) as into:
                for block in sent.iter_text():
                    into.write(block)
            return
        pages = api.pages(path, _OPTIONS, timeout=PATIENCE, **asked)
        first = next(pages)
        if as_json:
            referrers = [each for page in (first, *pages) for each in page["referrers"]]
            say_json({**first, "referrers": referrers, "next": None})
            return
    _show(first)


def _show(report: dict[str, Any]) -> None:
    listed = table(
        "first referral",
        "referrers",
        *_COLUMNS,
        title=f"Lifetime value of {report['program']}; as of {report['as_of']}",
    )
    for cohort in report["cohorts"]:
        for value in cohort["values"] or [None]:
            listed.add_row(cohort["month"][:7], str(cohort["referrers"]), *(_cells(value) if value else ()))
    tables().print(listed)
    if report["behind"]:
        say(f"{report['behind']} referrals changed so lately that they count as they stood before.")


def _cells(value: dict[str, Any]) -> tuple[str, ...]:
    amounts = (value[f"{part}_minor"] for part in ("revenue", "repeat", "cost", "value"))
    return (str(value["customers"]), str(value["orders"]), *(display(each, value["currency"]) for each in amounts))
