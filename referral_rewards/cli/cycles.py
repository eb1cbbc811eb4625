"""`referrals cycle`: payout cycles, what the next one would pay, and the decisions on them."""

import asyncio
import csv
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.console import Console

from referral_rewards.cli import money_acts
from referral_rewards.cli.console import AsJson, Data, database, keys_of, say, say_json, settings, table, tables
from referral_rewards.cli.credentials import Access, answer_of, api_of
from referral_rewards.cli.decisions import As
from referral_rewards.domain.cycles.grouping import CycleState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.labels import label
from referral_rewards.domain.money import display, from_minor
from referral_rewards.reporting import cycles
from referral_rewards.reporting.cycles import Wanted

commands = typer.Typer(
    help="Payout cycles: what is due is gathered, released by finance, and paid.", no_args_is_help=True
)

_MANY: Final = 500

Program = Annotated[str, typer.Argument(metavar="PROGRAM")]
OfProgram = Annotated[str | None, typer.Option("--program", metavar="NAME", help="Only of this program.")]
State = Annotated[CycleState | None, typer.Option("--state", help="Only those that stand there.")]
Cycle = Annotated[UUID, typer.Argument(metavar="CYCLE")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Every payout as CSV, to standard output.")]


@commands.command("list")
def list_(program: OfProgram = None, state: State = None, as_json: AsJson = False, data: Data = None) -> None:
    """List payout cycles, the latest first: where each stands and what it comes to."""

    async def work() -> list[dict[str, Any]]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return await cycles.listing(connection, Wanted(program, state, limit=_MANY))

    found = asyncio.run(work())
    if as_json:
        say_json(found)
        return
    listed = table("cycle", "program", "due on", "state", "comes to", "carried forward")
    for each in found:
        comes_to = _in_words(each["summary"].get("totals", ()), "payouts")
        carried = _in_words(each["summary"].get("carried", ()), "legs")
        listed.add_row(each["cycle"], each["program"], each["due_on"], each["state"], comes_to, carried)
    tables().print(listed)


@commands.command()
def show(cycle: Cycle, as_csv: AsCsv = False, as_json: AsJson = False, data: Data = None) -> None:
    """Show one cycle: what it pays and carries forward, where its payouts stand, and which decisions it takes now."""
    chosen = settings(data)

    async def work() -> dict[str, Any]:
        async with database(chosen) as opened, opened.transaction() as connection:
            found = await cycles.cycle(connection, cycle, keys_of(chosen))
            if as_csv:
                await _write(cycles.rows(connection, cycle), _PAYOUT)
            return found

    found = asyncio.run(work())
    if as_csv:
        return
    if as_json:
        say_json(found)
        return
    out = tables()
    minimum = found["minimum_minor"]
    least = f", at least {display(minimum, found['currency'])} to a payee" if minimum is not None else ""
    out.print(f"{found['cycle']}: {found['program']}, due on {found['due_on']}{least}; {found['state']}")
    _summary(out, found["summary"])
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
    takes = ", ".join(money_acts.name_of(act) for act in found["takes"]) or "no decision"
    out.print(f"takes {takes}; digest {found['digest']}")


@commands.command()
def preview(program: Program, as_csv: AsCsv = False, as_json: AsJson = False, data: Data = None) -> None:
    """Show what a program's next cycle would pay by what is due now, and what it would carry forward and why."""
    now = datetime.now(UTC)

    async def work() -> dict[str, Any]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            first = await cycles.preview(connection, program, now, limit=1)
            if as_csv:
                await _write(_previewed(cycles.previewed(connection, program, now)), _PREVIEWED)
                return {}
            head = {name: first[name] for name in ("program", "due_on", "opens_at", "minimum_minor", "currency")}
            return head | await cycles.preview_totals(connection, program, now)

    found = asyncio.run(work())
    if as_csv:
        return
    if as_json:
        say_json(found)
        return
    out = tables()
    out.print(f"{found['program']}: the next cycle is due on {found['due_on']} and opens at {found['opens_at']}")
    _summary(out, found)


@commands.command("open")
def open_(program: Program, user: As, data: Data = None) -> None:
    """Open a cycle today instead of waiting for its day. It pays nothing until finance releases it."""
    with api_of(Access.load(data), user) as api:
        opened = answer_of(api.post("/v1/cycles", json={"program": program}))
    said = "is open already" if opened["repeated"] else "is open"
    say(f"cycle {opened['cycle']} of {program}, due on {opened['due_on']}, {said}")


for name, act in money_acts.commands(SubjectKind.CYCLE):
    commands.command(name)(act)

_PAYOUT: Final = ("payout", "payee", "rail", "amount", "currency", "state", "legs", "referrals", "reference", "why")
_PREVIEWED: Final = ("payee", "rail", "amount", "currency", "legs", "referrals", "carried_forward")


async def _previewed(pages: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """The rows of a preview: each payout, and each leg that would be carried forward."""
    async for page in pages:
        for each in page["payouts"]:
            yield each
        for each in page["carried"]:
            yield {**each, "legs": 1, "referrals": [each["referral"]], "carried_forward": each["why"]}


async def _write(rows: AsyncIterator[dict[str, Any]], columns: Sequence[str]) -> None:
    file = csv.writer(sys.stdout, lineterminator="\n")
    file.writerow(columns)
    async for row in rows:
        amount = f"{from_minor(row['amount_minor'], row['currency']):f}"
        said = {**row, "amount": amount, "referrals": " ".join(row["referrals"] or ())}
        file.writerow([_cell(said.get(name)) for name in columns])


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    said = "" if value is None else str(value)
    return f"'{said}" if said[:1] in ("=", "+", "-", "@", "\t", "\r") else said


def _summary(out: Console, summary: Mapping[str, Any]) -> None:
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


def _in_words(lines: Sequence[Mapping[str, Any]], counted: str) -> str:
    what = counted if counted == "payouts" else "rewards"
    return "\n".join(f"{each[counted]} {what}, {display(each['amount_minor'], each['currency'])}" for each in lines)
