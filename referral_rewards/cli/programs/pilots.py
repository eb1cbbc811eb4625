"""`referrals pilot`: a program is measured over one payout cycle, and ends with a go or a no-go."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.claims.decisions import Note, Reason
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, table, tables, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.money.acts import Digest, is_start_of
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.instants import lasted
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.money import display

commands = typer.Typer(
    help="Pilots: a program is measured over one payout cycle, to a go or a no-go.", no_args_is_help=True
)

Program = Annotated[str, typer.Argument(metavar="PROGRAM")]

_OPTIONS: Final = {
    "owner": "--owner",
    "lasts": "--for",
    "first": "--first",
    "referrals": "--referral",
    "partners": "--partner",
    "sample": "--first",
    "threshold": "--threshold",
    "number": "--number",
    "reason": "--reason",
    "note": "--note",
}


@commands.command()
def start(
    program: Program,
    owner: Annotated[str, typer.Option("--owner", metavar="USER", help="Who owns it, and signs what it comes to.")],
    reason: Reason,
    note: Note,
    lasts: Annotated[
        str | None,
        typer.Option("--for", metavar="PERIOD", help="How long, such as P30D; else one payout cycle."),
    ] = None,
    first: Annotated[int | None, typer.Option("--first", metavar="N", help="Only the first N claims count.")] = None,
    referrals: Annotated[
        list[str] | None, typer.Option("--referral", metavar="REFERRAL", help="Only this referral counts; repeatable.")
    ] = None,
    partners: Annotated[
        list[str] | None,
        typer.Option("--partner", metavar="PARTNER", help="Only referrers of this partner count; repeatable."),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option("--threshold", metavar="PERCENT", help="Share of paid rewards that must hold all six parts; 100."),
    ] = None,
    digest: Digest = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Start a pilot of a program that is ready: the preflight runs first, and each gap is named."""
    _hold_reason(MoneyAct.START_PILOT, reason)
    asked: dict[str, Any] = {
        "owner": owner,
        "lasts": lasts,
        "first": first,
        "referrals": referrals or [],
        "partners": partners or [],
        "threshold": threshold,
        "reason": reason,
        "note": note,
    }
    with api_of(data, user, Purpose.DECIDE) as api:
        stands = api.get(_path(program))
        looked_at = stands["digest"] if is_start_of(digest, stands["digest"]) else digest
        made = api.post(f"{_path(program)}/start", {**asked, "digest": looked_at}, _OPTIONS, timeout=120)
        shown = api.get(_path(program))
    _recorded(program, made)
    for line in _promised(shown):
        say(line)


@commands.command()
def show(
    program: Program,
    number: Annotated[
        int | None, typer.Option("--number", min=1, help="Which of its pilots; the newest if not given.")
    ] = None,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> int:
    """Show what was promised, what is measured, and go or no-go. Exits with 1 for a no-go."""
    with api_of(data, user) as api:
        found = api.get(_path(program), _OPTIONS, number=number)
    its = found["pilot"]
    code = FOUND_PROBLEMS if its is not None and _comes_to(its) == "no_go" else DONE
    if as_json:
        say_json(found)
        return code
    if its is None:
        say(f"{program} had no pilot yet")
        return code
    for line in (*_promised(found), *_measured(found), *_verdict(its)):
        say(line)
    if its["rewards"]:
        tables().print(_rewards(its))
    for each in its["rewards"]:
        for what in each["findings"]:
            say(f"{each['referral']}, {label('side', each['role'])}: {what}")
    return code


@commands.command()
def end(
    program: Program,
    reason: Reason,
    note: Note,
    digest: Digest = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Sign the result of a pilot: as measured, or a no-go early for another reason."""
    _hold_reason(MoneyAct.END_PILOT, reason)
    with api_of(data, user, Purpose.DECIDE) as api:
        stands = api.get(_path(program))
        if stands["pilot"] is not None and stands["pilot"]["ended"] is None:
            for line in _verdict(stands["pilot"]):
                tell(line)
        looked_at = stands["digest"] if is_start_of(digest, stands["digest"]) else digest
        asked = {"reason": reason, "note": note, "digest": looked_at}
        made = api.post(f"{_path(program)}/end", asked, _OPTIONS, timeout=120)
    _recorded(program, made)
    say(f"{program}: the pilot ended with {label('go', made['verdict'])}")


def _hold_reason(act: MoneyAct, reason: str) -> None:
    if reason not in REASONS[act]:
        raise RequestInvalid(none_of(reason, REASONS[act]), "--reason")


def _recorded(program: str, made: dict[str, Any]) -> None:
    by = f"{made['user']} ({listed(labels('role', made['roles']))})"
    again = " before" if made["repeated"] else ""
    say(f"{program}: recorded{again} as decision {made['seq']}: {label('decided', made['act'])} by {by}")


def _promised(found: dict[str, Any]) -> list[str]:
    its = found["pilot"]
    if its["lasts"]:
        until = f"until {its['ends_at']}"
    elif its["cycle_due_on"]:
        until = f"for the payout cycle of {its['cycle_due_on']} ({label('cycle_state', its['cycle_state'])})"
    else:
        until = f"for one payout cycle, the next that opens (expected on {its['cycle_expected_on'] or '–'})"
    return [
        f"pilot {its['number']} of {found['program']}, owned by {its['owner']}",
        f"promised: since {its['started_at']} {until}; {its['sample']['in_words']};"
        f" {its['threshold_percent']} % of what is paid holds all six parts",
    ]


def _measured(found: dict[str, Any]) -> list[str]:
    its, figures = found["pilot"], found["pilot"]["figures"]
    denied = figures["denied_by_rule"] + figures["denied_by_decision"]
    time = figures["payout_time"]["due_to_decided"]
    said = [
        f"claims: {its['claims']} (approved {figures['claims_approved']}, denied {denied}, waiting {its['waiting']})",
        f"exceptions: {figures['exceptions']['claims']}",
        f"paid rewards: {its['paid']}, of which {its['accurate']} hold all six parts",
        f"from due to decided: median {lasted(time['median_s'])}, 95th percentile {lasted(time['p95_s'])}",
    ]
    said += [
        f"cost: {display(cost['settled_minor'] - cost['taken_back_minor'], cost['currency'])} in"
        f" {label('kind', cost['kind'])}"
        for cost in figures["reward_cost"]
    ]
    if found["budget_minor"] is not None:
        used, of = (display(found[each], found["currency"]) for each in ("used_minor", "budget_minor"))
        said.append(f"budget of the program: {used} of {of} used")
    return said


def _verdict(its: dict[str, Any]) -> list[str]:
    said = [f"measured: {label('go', its['verdict'])}"]
    said += [f"why: {each}" for each in its["why"]]
    said += [f"undecided: {each}" for each in its["undecided"]]
    if (ended := its["ended"]) is not None:
        by = f"{ended['by']} ({listed(labels('role', ended['roles']))})"
        said.append(
            f"signed: {label('go', ended['verdict'])} by {by}, {ended['at']}, on {ended['accurate']} of"
            f" {ended['paid']}: {label('decision_reason', ended['reason'])}"
        )
    return said


def _rewards(its: dict[str, Any]) -> Any:
    found = table("referral", "for", "amount", "paid", "six parts")
    for each in its["rewards"]:
        amount = display(each["amount_minor"], each["currency"])
        found.add_row(each["referral"], label("side", each["role"]), amount, each["settled_at"], _parts(each))
    return found


def _parts(each: dict[str, Any]) -> str:
    if each["failing"] is None:
        return "not verified"
    return f"not held: {listed(labels('six_parts', each['failing']))}" if each["failing"] else "all held"


def _comes_to(its: dict[str, Any]) -> str:
    return str(its["ended"]["verdict"] if its["ended"] is not None else its["verdict"])


def _path(program: str) -> str:
    return f"/v1/pilots/{quote(program, safe='')}"


for _command, _act in ((start, MoneyAct.START_PILOT), (end, MoneyAct.END_PILOT)):
    _command.__doc__ = f"{_command.__doc__} Reasons: {', '.join(REASONS[_act])}."
