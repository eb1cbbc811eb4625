"""`referrals payout`: where payouts stand, what to do about them, and the decisions on them."""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say_json, table, tables, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Order, Since, Summed, Until, write_chosen
from referral_rewards.cli.money import acts
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, csv_cell, write_list
from referral_rewards.cli.payout_life import tell_life
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.decisions.act_kinds import SubjectKind
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts import bank_file
from referral_rewards.domain.payouts.states import PayoutState

if TYPE_CHECKING:
    from rich.console import Console

    from referral_rewards.cli.client import Api

commands = typer.Typer(help="Payouts: one provider call each, for one reward or several.", no_args_is_help=True)

_PATH = "/v1/payouts"

State = Annotated[PayoutState | None, typer.Option("--state", help="Only those in this state.")]
Rail = Annotated[str | None, typer.Option("--rail", metavar="RAIL", help="Only by this rail.")]
Program = Annotated[str | None, typer.Option("--program", metavar="NAME", help="Only of this program.")]
Payee = Annotated[str | None, typer.Option("--payee", metavar="PAYEE", help="Only to this payee.")]
Referral = Annotated[str | None, typer.Option("--referral", metavar="REFERRAL", help="Only those that pay it.")]
Cycle = Annotated[UUID | None, typer.Option("--cycle", metavar="CYCLE", help="Only of this payout cycle.")]


_COLUMNS: Final = (
    Column("payout", lambda each: each["payout"]),
    Column("payee", lambda each: each["payee"]),
    Column("amount", lambda each: display(each["amount_minor"], each["currency"])),
    Column("rail", lambda each: each["rail"], spare=1, vocabulary="rail"),
    Column("state", lambda each: each["state"], vocabulary="payout_state"),
    Column("since", lambda each: each["updated_at"], spare=3),
    Column("what to do", lambda each: "\n".join(filter(None, (each["why"], each["to_do"]))), spare=2),
)


@commands.command("list")
def list_(
    state: State = None,
    rail: Rail = None,
    program: Program = None,
    payee: Payee = None,
    referral: Referral = None,
    cycle: Cycle = None,
    since: Since = None,
    until: Until = None,
    sort: Order = None,
    totals: Summed = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List payouts, the newest first by default, and what a person does about those that can't go on by themselves."""
    wanted = {"state": state, "rail": rail, "program": program, "payee": payee, "referral": referral, "cycle": cycle}
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        write_chosen(api, _PATH, "payouts", _COLUMNS, form, Chosen(since, until, sort, totals), wanted)


@commands.command()
def show(
    payout: Annotated[UUID, typer.Argument(metavar="PAYOUT")],
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Show one payout: its rewards, deductions, every step of its life, and which decisions it takes now."""
    with api_of(data, user) as api:
        found = api.get(f"{_PATH}/{payout}")
    if as_json:
        say_json(found)
        return
    out = tables()
    tell_life(out, found)
    _decisions(out, found)


@commands.command()
def instructions(
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV for the bank, to standard output.")] = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Export the manual instructions for the bank: whom to pay how much, and the key to quote as payment reference.

    An instruction counts as sent once it is first exported. Those exported before stand in the list again, under the
    same key, and are marked. The file has destinations and names in clear; that you saw them is on record.
    """
    with api_of(data, user, Purpose.EXPORT) as api:
        exported = _export(api)
        found = list(_in_clear(api) if as_csv else api.all(f"{_PATH}/instructions", "instructions"))
    rows = [{**each, "already": None if each["payout"] in exported else each["exported_at"]} for each in found]
    if as_csv:
        _write_file(rows)
    else:
        write_list(_INSTRUCTION, rows, Form())


def _in_clear(api: "Api") -> Iterator[dict[str, Any]]:
    """Yield the lines of the bank file, and tell of those that have nothing to pay to."""
    after: str | None = None
    while True:
        found = api.post(f"{_PATH}/instructions/file", {"after": after} if after else {})
        for each in found["lines"]:
            if each["missing"] is None:
                yield each
            else:
                tell(f"payout {each['payout']} is not in the file: {each['missing']}")
        if (after := found["next"]) is None:
            return


def _write_file(rows: Iterable[Mapping[str, Any]]) -> None:
    file = csv.writer(sys.stdout, lineterminator="\n")
    file.writerow(bank_file.COLUMNS)
    for each in rows:
        whom = (each["key"], each["payout"], each["payee"], each["destination"])
        amount = (each["amount_minor"], each["currency"])
        line = bank_file.cells(*whom, *amount, each["exported_at"], each["already"], each["name"])
        file.writerow(map(csv_cell, line))


def _export(api: "Api") -> frozenset[str]:
    """Export what waits, tell of what was left out, and return the payouts that were exported now."""
    exported: list[str] = []
    after: str | None = None
    while True:
        done = api.post(f"{_PATH}/instructions", {"after": after} if after else {})
        exported += done["exported"]
        for each in done["left_out"]:
            tell(f"payout {each['payout']} is left out: {each['why']}")
        if (after := done["next"]) is None:
            return frozenset(exported)


_INSTRUCTION: Final = (
    Column("instruction", lambda each: each["key"]),
    Column("payee", lambda each: each["payee"]),
    Column("destination", lambda each: each["destination"]),
    Column("amount", lambda each: display(each["amount_minor"], each["currency"])),
    Column("since", lambda each: each["exported_at"], spare=1),
    Column("exported before", lambda each: each["already"], spare=2),
)


for name, act in acts.commands(SubjectKind.PAYOUT):
    commands.command(name)(act)


def _decisions(out: "Console", found: dict[str, Any]) -> None:
    made = table("decision", "by", "reason", "reference", "note", "when", title="decisions", title_justify="left")
    for each in found["decisions"]:
        kind = each["kind"] if each["genuine"] else f"{each['kind']} (FORGED: no signature that we believe)"
        note = each["note"] or "erased"
        made.add_row(kind, each["user"], each["reason"], each["reference"], note, each["decided_at"])
    if made.row_count:
        out.print(made)
    takes = ", ".join(acts.name_of(act) for act in found["takes"]) or "no decision"
    out.print(f"takes {takes}; digest {found['digest']}")
