"""`referrals report program`: the measures of a program over a period."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.measures import budget_report
from referral_rewards.cli.money.ledger import day_of
from referral_rewards.cli.money.liabilities import AsOf
from referral_rewards.cli.output import Output, written
from referral_rewards.domain.instants import lasted
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.measures.definitions import DEFINITIONS
from referral_rewards.domain.money import display

_DAY: Final = ["%Y-%m-%d"]
#: Seconds; what was on record at a past moment is recomputed.
PATIENCE: Final = 600
OPTIONS: Final = {"from": "--from", "to": "--to", "partner": "--partner", "referrer": "--referrer", "as_of": "--as-of"}

Since = Annotated[
    datetime | None,
    typer.Option("--from", metavar="DATE", formats=_DAY, help="The first day, on the program's calendar."),
]
Until = Annotated[
    datetime | None, typer.Option("--to", metavar="DATE", formats=_DAY, help="The day after the last one.")
]
Partner = Annotated[
    str | None,
    typer.Option(
        "--partner", metavar="PARTNER", help="Only referrals of referrers whose enrolment names this partner."
    ),
]
Referrer = Annotated[
    str | None, typer.Option("--referrer", metavar="REFERRER", help="Only referrals of this referrer.")
]


def program(
    name: Annotated[str, typer.Argument(metavar="PROGRAM", help="The program.")],
    since: Since = None,
    until: Until = None,
    partner: Partner = None,
    referrer: Referrer = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, a figure a line, money in minor units.")] = False,
    output: Output = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Print the measures of a program: claims, exceptions, times, cost, revenue and satisfaction. Each counts in the
    period of the event that it names; without days it is of all time."""
    span = {"from_": day_of(since), "to": day_of(until)}
    asked: dict[str, Any] = {**span, "partner": partner, "referrer": referrer, "as_of": as_of}
    path = f"/v1/reports/program/{name}"
    with api_of(data, user) as api:
        if as_csv:
            with api.stream("GET", path, options=OPTIONS, format="csv", **asked) as sent, written(output) as into:
                for block in sent.iter_text():
                    into.write(block)
            return
        found = api.get(path, OPTIONS, timeout=PATIENCE, **asked)
    say_json(found) if as_json else _show(found)


def _show(report: dict[str, Any]) -> None:
    span = f"from {report['from'] or 'the beginning'} to before {report['to'] or 'now'}"
    of = "".join(f", {name} {report[name]}" for name in ("partner", "referrer") if report[name])
    listed = table("measure", "", "value", title=f"{report['program']}{of}, {span}; as of {report['as_of']}")
    for name, part, value in _lines(report["measures"]):
        listed.add_row(DEFINITIONS[name].name if name else "", part, value)
    if report["budget"]:
        for at, (part, value) in enumerate(budget_report.lines(report["budget"])):
            listed.add_row("" if at else "budget, over the whole life", part, value)
    tables().print(listed)
    _show_accuracy(report["referral_reward_eligibility_accuracy"])
    if report["budget"] and report["budget"]["warning"]:
        say(f"Warning: {report['budget']['warning']}")
    if report["behind"]:
        say(f"{report['behind']} referrals changed so lately that they count as they stood before.")


def _show_accuracy(its: dict[str, Any]) -> None:
    """Prints the share of paid rewards that hold all six parts, and each that does not."""
    share = "–" if its["share"] is None else f"{its['share']:.1%}"
    beside = f", {its['by_decision']} of them by decision" if its["by_decision"] else ""
    say(f"Eligibility accuracy: {share} ({its['accurate']} of {its['paid']} paid rewards hold all six parts{beside}).")
    if its["marks_removed"]:
        say(f"Of {its['marks_removed']} a person was erased, and their marks are gone by retention.")
    for each in its["failing"]:
        say(f"  {each['referral']}, {each['role']}: {'; '.join(each['why'])}")


def _lines(its: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The measure (empty where it is that of the line before), its part, and the value in words."""
    for name in ("claims_created", "claims_approved", "denied_by_rule", "denied_by_decision", "waiting"):
        yield name, "", str(its[name])
    yield "exceptions", "claims with any flag", str(its["exceptions"]["claims"])
    for flag, n in its["exceptions"]["by_flag"].items():
        yield "", label("flag", flag), str(n)
    yield "disputed_attribution", "claims", str(its["disputed_attribution"])
    for how, n in its["disputes_settled"].items():
        yield "", how, str(n)
    yield "duplicate_claims", "claims", str(its["duplicate_claims"]["claims"])
    for cost in its["duplicate_claims"]["would_have_cost"]:
        yield "", "would have cost", display(cost["minor"], cost["currency"])
    for name, duration in its["payout_time"].items():
        yield name, f"median of {duration['n']}", lasted(duration["median_s"])
        yield "", "95th percentile", lasted(duration["p95_s"])
    yield from _money(its)
    rated = its["referrer_satisfaction"]
    mean = "–" if rated["mean"] is None else f"{rated['mean']:.2f} of 5"
    yield "referrer_satisfaction", f"mean of {rated['n']} answers", mean
    rate = "–" if rated["answer_rate"] is None else f"{rated['answer_rate']:.1%}"
    yield "", f"{rated['answered']} of {rated['asked']} asked answered", rate
    for stage, n in its["funnel"].items():
        yield "funnel" if stage == "began" else "", stage, str(n)
    yield "refund_rate", "", "–" if its["refund_rate"] is None else f"{its['refund_rate']:.1%}"
    for won in its["cost_per_acquired_customer"]:
        yield "cost_per_acquired_customer", f"{won['customers']} rewarded", display(won["minor"], won["currency"])


def _money(its: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    parts = {"settled_minor": "settled", "taken_back_minor": "taken back", "payable_minor": "approved, not paid"}
    for at, cost in enumerate(its["reward_cost"]):
        for part, said in parts.items():
            first = at == 0 and part == "settled_minor"
            kind = label("kind", cost["kind"])
            yield "reward_cost" if first else "", f"{kind}, {said}", display(cost[part], cost["currency"])
    parts = {
        "rewarded_minor": "of the rewarded",
        "converted_minor": "of all that converted",
        "reversed_minor": "reversed",
    }
    for at, revenue in enumerate(its["referred_revenue"]):
        for part, said in parts.items():
            first = at == 0 and part == "rewarded_minor"
            yield "referred_revenue" if first else "", said, display(revenue[part], revenue["currency"])
