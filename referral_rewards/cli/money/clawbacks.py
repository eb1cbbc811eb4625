"""`referrals clawback`: rewards whose ground fell away after they were paid, and the decisions on them."""

from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

import typer

from referral_rewards.cli.claims.decisions import Note, Reason
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Order, Since, Summed, Until, write_chosen
from referral_rewards.cli.money import acts
from referral_rewards.cli.output import AsCsv, Column, Form, Limit
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct, SubjectKind
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import WAS_PAID
from referral_rewards.domain.referrals.lifecycle import Side

commands = typer.Typer(help="Clawback cases: paid rewards that may have to be recovered.", no_args_is_help=True)

_PATH = "/v1/clawbacks"

State = Annotated[CaseState | None, typer.Option("--state", help="Only those in this state.")]
Program = Annotated[str | None, typer.Option("--program", metavar="NAME", help="Only of this program.")]
Payee = Annotated[str | None, typer.Option("--payee", metavar="PAYEE", help="Only what was paid to this payee.")]
Referral = Annotated[str | None, typer.Option("--referral", metavar="REFERRAL", help="Only of this referral.")]


_COLUMNS: Final = (
    Column("case", lambda each: each["case"]),
    Column("referral", lambda each: each["referral"]),
    Column("payee", lambda each: each["payee"], spare=1),
    Column("paid", lambda each: _amount(each, "paid_minor")),
    Column("proposed", lambda each: _amount(each, "proposed_minor"), spare=2),
    Column("left", lambda each: _amount(each, "room_minor"), spare=3),
    Column("state", lambda each: each["state"], vocabulary="case_state"),
    Column("why", lambda each: each["why"], spare=5),
    Column("what to do", lambda each: each["to_do"], spare=4),
)


@commands.command("list")
def list_(
    state: State = None,
    program: Program = None,
    payee: Payee = None,
    referral: Referral = None,
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
    """List cases, the newest first by default: what is proposed to be taken, what is left, and what a person does."""
    wanted = {"state": state, "program": program, "payee": payee, "referral": referral}
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        write_chosen(api, _PATH, "cases", _COLUMNS, form, Chosen(since, until, sort, totals), wanted)


@commands.command()
def show(
    case: Annotated[UUID, typer.Argument(metavar="CASE")], as_json: AsJson = False, user: As = None, data: Data = None
) -> None:
    """Show one case: the reward it is about, what was done, what its payee owes, and which decisions it takes now."""
    with api_of(data, user) as api:
        found = api.get(f"{_PATH}/{case}")
    if as_json:
        say_json(found)
        return
    _tell(found)


@commands.command("open")
def open_(
    referral: Annotated[str, typer.Argument(metavar="REFERRAL")],
    leg: Annotated[Side, typer.Option("--leg", help="Whose reward.")],
    amount: acts.Amount,
    reason: Reason,
    note: Note,
    user: As = None,
    data: Data = None,
) -> None:
    """Open a case by hand over so much of a paid reward, at any time; a decision on the case then moves the money.

    Reasons: refund, chargeback, fraud, paid_in_error, other.
    """
    codes = REASONS[MoneyAct.OPEN_CLAWBACK]
    if reason not in codes:
        raise RequestInvalid(none_of(reason, codes), "--reason")
    with api_of(data, user, Purpose.DECIDE) as api:
        legs = api.get(f"/v1/referrals/{quote(referral, safe='')}")["legs"]
        its = [each["leg"] for each in legs if each["role"] == leg and each["state"] in WAS_PAID]
        if not its:
            raise RequestInvalid(f"no reward of the {leg} of {referral} was paid", "--leg")
        shown = api.get(f"{_PATH}/rewards/{its[-1]}")
        tell(acts.in_brief(SubjectKind.REWARD, shown))
        asked = {"amount_minor": acts.minor_of(amount, shown["currency"]), "reason": reason, "note": note}
        made = api.post(_PATH, {"reward": its[-1], "act": MoneyAct.OPEN_CLAWBACK, "digest": shown["digest"], **asked})
    again = " before" if made["repeated"] else ""
    say(f"{referral}: recorded{again} as decision {made['seq']}: {label('decided', made['act'])} by {made['user']}")


for name, act in acts.commands(SubjectKind.CLAWBACK_CASE):
    commands.command(name)(act)


def _tell(found: dict[str, Any]) -> None:
    out = tables()
    what = f"{_amount(found, 'paid_minor')} to the {found['role']} {found['payee']} by {found['rail']}"
    out.print(f"case {found['case']}: {what}, {found['state']}", markup=False, soft_wrap=True)
    out.print(f"  {found['why']}", markup=False, soft_wrap=True)
    proposed = (
        "nothing that the rules can tell" if found["proposed_minor"] is None else _amount(found, "proposed_minor")
    )
    out.print(f"  proposed: {proposed}; left of the reward: {_amount(found, 'room_minor')}", markup=False)
    if found["waiting_minor"]:
        out.print(f"  waits for later payouts: {_amount(found, 'waiting_minor')}", markup=False)
    if found["to_do"]:
        out.print(f"  {found['to_do']}", markup=False, soft_wrap=True)
    done = table("clawback", "how", "amount", "came back", "state", "reference", "why", title="what was decided")
    for each in found["clawbacks"]:
        amounts = (display(each[name], found["currency"]) for name in ("amount_minor", "recovered_minor"))
        kind, state = label("clawback", each["kind"]), label("clawback_state", each["state"])
        done.add_row(each["clawback"], kind, *amounts, state, each["reference"], each["why"])
    if done.row_count:
        out.print(done)
    for each in found["returns"]:
        amount, state = display(each["amount_minor"], found["currency"]), label("payout_state", each["state"])
        out.print(f"  return of {amount}: payout {each['payout']}, {state}", markup=False, soft_wrap=True)
    for each in found["owed"]:
        owed, kept = (display(each[name], each["currency"]) for name in ("owed_minor", "kept_minor"))
        out.print(f"  {found['payee']} owes {owed}, of which payouts on their way keep {kept}", markup=False)
    for each in found["decisions"]:
        forged = "" if each["genuine"] else " (FORGED: no signature that we believe)"
        said = f"{each['kind']}{forged} by {each['user']} at {each['decided_at']} ({each['reason']})"
        out.print(f"  {said}: {each['note'] or 'erased'}", markup=False, soft_wrap=True)
    most = {act: f" (at most {display(minor, found['currency'])})" for act, minor in found["amounts"].items()}
    takes = ", ".join(acts.name_of(each) + most.get(each, "") for each in found["takes"]) or "no decision"
    out.print(f"takes {takes}; digest {found['digest']}", markup=False, soft_wrap=True)


def _amount(found: dict[str, Any], name: str) -> str | None:
    return None if found[name] is None else display(found[name], found["currency"])
