"""`referrals cycle`: payout cycles, what the next one would pay, and the decisions on them."""

import csv
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Order, Since, Summed, Until, write_chosen
from referral_rewards.cli.money import acts
from referral_rewards.cli.output import AsCsv as AsListCsv
from referral_rewards.cli.output import Column, Form, Limit, csv_cell
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct, SubjectKind
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.labels.sentences import counted
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display, from_minor

if TYPE_CHECKING:
    from rich.console import Console

commands = typer.Typer(
    help="Payout cycles: what is due is gathered, released by finance, and paid.", no_args_is_help=True
)

_PATH: Final = "/v1/cycles"

Program = Annotated[str, typer.Argument(metavar="PROGRAM")]
OfProgram = Annotated[str | None, typer.Option("--program", metavar="NAME", help="Only of this program.")]
State = Annotated[CycleState | None, typer.Option("--state", help="Only those in this state.")]
Cycle = Annotated[UUID, typer.Argument(metavar="CYCLE")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Every payout as CSV, to standard output.")]


_COLUMNS: Final = (
    Column("cycle", lambda each: each["cycle"]),
    Column("program", lambda each: each["program"], spare=1),
    Column("due on", lambda each: each["due_on"]),
    Column("state", lambda each: each["state"], vocabulary="cycle_state"),
    Column("comes to", lambda each: _in_words(each["summary"].get("totals", ()), "payouts")),
    Column("carried forward", lambda each: _in_words(each["summary"].get("carried", ()), "legs"), spare=2),
)


@commands.command("list")
def list_(
    program: OfProgram = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
    sort: Order = None,
    totals: Summed = False,
    as_json: AsJson = False,
    as_csv: AsListCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List payout cycles, the latest first unless sorted otherwise: where each stands and what it comes to."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        wanted = {"program": program, "state": state}
        write_chosen(api, _PATH, "cycles", _COLUMNS, form, Chosen(since, until, sort, totals), wanted)


@commands.command()
def show(cycle: Cycle, as_csv: AsCsv = False, as_json: AsJson = False, user: As = None, data: Data = None) -> None:
    """Show one cycle: what it pays and carries forward, where its payouts stand, and which decisions it takes now."""
    with api_of(data, user) as api:
        found = api.get(f"{_PATH}/{cycle}")
        if as_csv:
            _write(api.all(f"{_PATH}/{cycle}/payouts", "payouts"), _PAYOUT)
            return
    if as_json:
        say_json(found)
        return
    out = tables()
    minimum = found["minimum_minor"]
    least = f", at least {display(minimum, found['currency'])} to a payee" if minimum is not None else ""
    out.print(f"{found['cycle']}: {found['program']}, due on {found['due_on']}{least}; {found['state']}")
    _summary(out, found["summary"])
    for each in found["below_minimum"]:
        why = label("decision_reason", each["reason"])
        out.print(f"{each['payee']} is paid below the minimum, by {each['user']} (decision {each['seq']}): {why}")
    stand = table("state", "rail", "payouts", "amount", title="payouts", title_justify="left")
    for each in found["payouts"]:
        amount = display(each["amount_minor"], each["currency"])
        stand.add_row(each["state"], each["rail"], str(each["payouts"]), amount)
    if stand.row_count:
        out.print(stand)
    made = table("decision", "by", "reason", "note", "when", title="decisions", title_justify="left")
    for each in found["decisions"]:
        kind = each["kind"] if each["genuine"] else f"{each['kind']} (FORGED: no signature that we believe)"
        made.add_row(kind, each["user"], each["reason"], each["note"] or "erased", each["decided_at"])
    if made.row_count:
        out.print(made)
    takes = ", ".join(acts.name_of(act) for act in found["takes"]) or "no decision"
    out.print(f"takes {takes}; digest {found['digest']}")


@commands.command()
def preview(
    program: Program, as_csv: AsCsv = False, as_json: AsJson = False, user: As = None, data: Data = None
) -> None:
    """Show what a program's next cycle would pay by what is due now, and what it would carry forward and why."""
    with api_of(data, user) as api:
        if as_csv:
            pages = api.pages(f"{_PATH}/preview", program=program)
            first = next(pages)  # asked for before anything is written: there may be no such program
            _write(_previewed(itertools.chain([first], pages)), _PREVIEWED)
            return
        found = api.get(f"{_PATH}/preview/summary", program=program, timeout=600)
    if as_json:
        say_json(found)
        return
    out = tables()
    out.print(f"{found['program']}: the next cycle is due on {found['due_on']} and opens at {found['opens_at']}")
    _summary(out, found)


BelowMinimum = Annotated[
    str | None,
    typer.Option("--below-minimum", metavar="PAYEE", help="Pay this payee, who leaves, once below the minimum."),
]
WhyBelow = Annotated[str | None, typer.Option("--reason", metavar="CODE", help="Why below the minimum, as a code.")]
NoteBelow = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, in words.")]


@commands.command("open")
def open_(
    program: Program,
    payee: BelowMinimum = None,
    reason: WhyBelow = None,
    note: NoteBelow = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Open a cycle today instead of waiting for its day. It pays nothing until finance releases it.

    With `--below-minimum` finance signs that a payee who leaves is paid in it once, below the minimum.
    """
    if payee is not None:
        _below_minimum(program, payee, reason, note, user, data)
        return
    if (named := "--reason" if reason is not None else "--note" if note is not None else None) is not None:
        raise RequestInvalid("goes with --below-minimum", named)
    with api_of(data, user, Purpose.DECIDE) as api:
        opened = api.post(_PATH, {"program": program})
    said = "is open already" if opened["repeated"] else "is open"
    say(f"cycle {opened['cycle']} of {program}, due on {opened['due_on']}, {said}")


def _below_minimum(
    program: str, payee: str, reason: str | None, note: str | None, user: str | None, data: Path | None
) -> None:
    reasons = REASONS[MoneyAct.PAY_BELOW_MINIMUM]
    if reason not in reasons:
        raise RequestInvalid(none_of(reason or "", reasons), "--reason")
    if not note:
        raise RequestInvalid("is needed: say why", "--note")
    path = f"{_PATH}/below-minimum"
    with api_of(data, user, Purpose.DECIDE) as api:
        shown = api.get(path, program=program, payee=payee)
        asked = {"program": program, "payee": payee, "reason": reason, "note": note, "digest": shown["digest"]}
        made = api.post(path, asked)
    again = " before" if made["repeated"] else ""
    amount = display(shown["amount_minor"], shown["currency"])
    say(f"{payee}: recorded{again} as decision {made['seq']}: {amount} is paid below the minimum, once")
    say(f"cycle {made['cycle']} of {program}, due on {made['due_on']}, pays it when finance releases it")


for name, act in acts.commands(SubjectKind.CYCLE):
    commands.command(name)(act)

_PAYOUT: Final = ("payout", "payee", "rail", "amount", "currency", "state", "legs", "referrals", "reference", "why")
_PREVIEWED: Final = ("payee", "rail", "amount", "currency", "legs", "referrals", "carried_forward")


def _previewed(pages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a preview: each payout, and each leg that would be carried forward."""
    for page in pages:
        yield from page["payouts"]
        for each in page["carried"]:
            yield {**each, "legs": 1, "referrals": [each["referral"]], "carried_forward": each["why"]}


def _write(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    file = csv.writer(sys.stdout, lineterminator="\n")
    file.writerow(columns)
    for row in rows:
        amount = f"{from_minor(row['amount_minor'], row['currency']):f}"
        said = {**row, "amount": amount, "referrals": " ".join(row["referrals"] or ())}
        file.writerow([csv_cell(said.get(name)) for name in columns])


def _summary(out: "Console", summary: Mapping[str, Any]) -> None:
    totals = table("rail", "payouts", "rewards", "amount", title="pays", title_justify="left")
    for each in summary.get("totals", ()):
        amount = display(each["amount_minor"], each["currency"])
        totals.add_row(label("rail", each["rail"]), str(each["payouts"]), str(each["legs"]), amount)
    carried = table("why", "rewards", "amount", title="carried forward", title_justify="left")
    for each in summary.get("carried", ()):
        amount = display(each["amount_minor"], each["currency"])
        carried.add_row(label("carried", each["why"]), str(each["legs"]), amount)
    for each in (totals, carried):
        if each.row_count:
            out.print(each)
    if not totals.row_count:
        out.print("it pays nothing")


def _in_words(lines: Sequence[Mapping[str, Any]], what: str) -> str:
    noun = "payout" if what == "payouts" else "reward"
    return "\n".join(
        f"{counted(each[what], noun)}, {display(each['amount_minor'], each['currency'])}" for each in lines
    )
