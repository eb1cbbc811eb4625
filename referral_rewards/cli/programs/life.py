"""`referrals program life|pause|resume|end|budget`: whether a program runs, and what people decide on it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.claims.decisions import Note, Reason
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.money.acts import Digest, is_start_of, minor_of
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.money import display

Program = Annotated[str, typer.Argument(metavar="PROGRAM")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="From when it holds, such as 2026-08-01T00:00:00Z; else from now on."),
]
Add = Annotated[str, typer.Option("--add", metavar="AMOUNT", help='How much, in its currency, such as "5000.00".')]


def life(program: Program, as_json: AsJson = False, user: As = None, data: Data = None) -> None:
    """Show whether a program runs, is paused or has ended, its budget, and what was decided on it."""
    with api_of(data, user) as api:
        found = api.get(f"{_path(program)}/life")
    if as_json:
        say_json(found)
        return
    say(f"{program}: {found['state']}")
    currency = found["currency"]
    if found["budget_minor"] is None:
        say("budget: none")
    else:
        used = display(found["used_minor"], currency)
        say(f"budget: {display(found['budget_minor'], currency)}, of which {used} are used")
    for each in found["half_signed"]:
        more = display(each["amount_minor"], each["currency"])
        lacks = listed(labels("role", each["lacks"]), "or")
        say(f"to be signed: {more} more, signed by {listed(each['by'])}; still missing: {lacks}, another person")
    for each in found["decisions"]:
        since = f" from {each['at']}" if each["at"] else ""
        amount = f" {display(each['amount_minor'], currency)}" if each["amount_minor"] else ""
        forged = "" if each["genuine"] else " (FORGED: no signature that we believe)"
        said = f"{label('decided', each['kind'])}{amount}{since} by {each['user']}, {each['decided_at']}{forged}"
        say(f"decision {each['seq']}: {said}: {each['note'] or 'erased'}")
    takes = ", ".join(_NAMES[act] for act in found["takes"])
    say(f"takes {takes or 'no decision'}; digest {found['digest']}")


def pause(
    program: Program,
    reason: Reason,
    note: Note,
    at: At = None,
    digest: Digest = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Approve nothing and send nothing new until the program is resumed. What was sent is followed up."""
    _decide(data, user, program, MoneyAct.PAUSE_PROGRAM, reason, note, digest, at=at)


def resume(
    program: Program,
    reason: Reason,
    note: Note,
    at: At = None,
    digest: Digest = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Go on with a program that is paused: what waits is sent by itself."""
    _decide(data, user, program, MoneyAct.RESUME_PROGRAM, reason, note, digest, at=at)


def end(
    program: Program,
    reason: Reason,
    note: Note,
    at: At = None,
    digest: Digest = None,
    user: As = None,
    data: Data = None,
) -> None:
    """End a program for good: referrals that begin at or after the end are denied, earlier ones go on."""
    _decide(data, user, program, MoneyAct.END_PROGRAM, reason, note, digest, at=at)


def budget(
    program: Program,
    add: Add,
    reason: Reason,
    note: Note,
    digest: Digest = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Sign an addition to the budget. Finance and the program owner, two people, each sign the same amount."""
    _decide(data, user, program, MoneyAct.ADD_BUDGET, reason, note, digest, add=add)


def warn(program: str, user: str | None, data: Path | None) -> None:
    """Say beside a program's terms if it does not simply run."""
    with api_of(data, user) as api:
        found = api.get(f"{_path(program)}/life")
    if found["paused"] or found["ended_at"] or found["changes_at"]:
        tell(f"program {program}: {found['state']}")


def _decide(
    data: Path | None,
    user: str | None,
    program: str,
    act: MoneyAct,
    reason: str,
    note: str,
    digest: str | None,
    *,
    at: str | None = None,
    add: str | None = None,
) -> None:
    """Record a decision on a program as it stands, or as the digest says that it was looked at."""
    if reason not in REASONS[act]:
        raise RequestInvalid(none_of(reason, REASONS[act]), "--reason")
    moment = None if at is None else _instant(at)
    with api_of(data, user, Purpose.DECIDE) as api:
        shown = api.get(f"{_path(program)}/life")
        tell(f"program {program}: {shown['state']}; digest {shown['digest'][:12]}")
        asked: dict[str, Any] = {"act": act, "reason": reason, "note": note, "at": moment}
        if add is not None:
            asked |= {"amount_minor": minor_of(add, shown["currency"], "--add"), "currency": shown["currency"]}
        looked_at = shown["digest"] if is_start_of(digest, shown["digest"]) else digest
        made = api.post(f"{_path(program)}/decisions", {**asked, "digest": looked_at}, {"at": "--at"})
        stands = api.get(f"{_path(program)}/life")
    by = f"{made['user']} ({listed(labels('role', made['roles']))})"
    again = " before" if made["repeated"] else ""
    say(f"{program}: recorded{again} as decision {made['seq']}: {label('decided', act)} by {by}")
    say(f"{program}: {stands['state']}")
    for each in stands["half_signed"]:
        more = display(each["amount_minor"], each["currency"])
        say(f"{more} more still lack the signature of {listed(labels('role', each['lacks']), 'or')}, by another person")


def _instant(written: str) -> str:
    """Return a time with an offset as ISO 8601.

    Raises:
        RequestInvalid: if it is none.
    """
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise RequestInvalid(f"{written!r} is no time; write it as 2026-08-01T00:00:00Z", "--at") from None
    if moment.tzinfo is None:
        raise RequestInvalid(f"{written!r} has no offset; write it as {written}Z or {written}+02:00", "--at")
    return moment.isoformat()


def _path(program: str) -> str:
    return f"/v1/programs/{quote(program, safe='')}"


#: How each decision is called here.
_NAMES: Final = {
    MoneyAct.PAUSE_PROGRAM: "pause",
    MoneyAct.RESUME_PROGRAM: "resume",
    MoneyAct.END_PROGRAM: "end",
    MoneyAct.ADD_BUDGET: "budget",
}

#: The commands of this file, by name.
COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "life": life,
    "pause": pause,
    "resume": resume,
    "end": end,
    "budget": budget,
}


for _command, _act in (
    (pause, MoneyAct.PAUSE_PROGRAM),
    (resume, MoneyAct.RESUME_PROGRAM),
    (end, MoneyAct.END_PROGRAM),
    (budget, MoneyAct.ADD_BUDGET),
):
    _command.__doc__ = f"{_command.__doc__} Reasons: {', '.join(REASONS[_act])}."
