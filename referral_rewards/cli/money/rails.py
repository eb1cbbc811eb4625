"""`referrals rails`: which rails there are, which are halted, and what a restored register had forgotten."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data
from referral_rewards.cli.credentials import As
from referral_rewards.cli.money import acts
from referral_rewards.cli.output import AsCsv, Column, Form, write_list
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.domain.decisions.act_kinds import SubjectKind
from referral_rewards.domain.money import display

_HELP: Final = "Rails: connected or not, halted since when and why, and what a restored register forgot."
commands = typer.Typer(help=_HELP, invoke_without_command=True)


@commands.callback()
def rails_(
    context: typer.Context, as_json: AsJson = False, as_csv: AsCsv = False, user: As = None, data: Data = None
) -> None:
    """Rails: connected or not, halted since when and why, and what a restored register forgot."""
    if context.invoked_subcommand is not None:
        return
    form = Form(as_json, as_csv)
    with api_of(data, user) as api:
        found = api.get("/v1/rails")
    write_list(_RAIL, found, form)
    raise typer.Exit(FOUND_PROBLEMS if any(each["halted_at"] for each in found) else DONE)


@commands.command()
def forgotten(
    everything: Annotated[bool, typer.Option("--all", help="Also those that wait for nobody.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    user: As = None,
    data: Data = None,
) -> int:
    """List the payments that a restored register had forgotten and that wait for a person. 1 if there is any."""
    with api_of(data, user) as api:
        found = api.get("/v1/forgotten-payments", state=None if everything else "waiting")
    write_list(_FORGOTTEN, found, Form(as_json, as_csv))
    return FOUND_PROBLEMS if any(each["state"] == "waiting" for each in found) else DONE


for kind in (SubjectKind.RAIL, SubjectKind.FORGOTTEN_PAYMENT):
    for name, act in acts.commands(kind):
        commands.command(name)(act)


def _connected(rail: Mapping[str, Any]) -> str:
    return "yes" if rail["connected"] else f"not since {rail['seen_at']}" if rail["seen_at"] else "no"


_RAIL: Final = (
    Column("rail", lambda each: each["rail"]),
    Column("connected", _connected),
    Column("mode", lambda each: each["mode"], spare=1),
    Column("halted since", lambda each: each["halted_at"]),
    Column("payouts that wait", lambda each: each["waiting"] or None, spare=2),
    Column("why", lambda each: each["why"], spare=3),
)

_FORGOTTEN: Final = (
    Column("payment", lambda each: each["id"]),
    Column("rail", lambda each: each["rail"]),
    Column("reference", lambda each: each["reference"]),
    Column("amount", lambda each: display(each["amount_minor"], each["currency"])),
    Column("payee", lambda each: each["payee"] or each["destination"]),
    Column("names payout", lambda each: each["payout"], spare=1),
    Column("state", lambda each: each["state"]),
    Column("made", lambda each: each["made_at"], spare=2),
)
