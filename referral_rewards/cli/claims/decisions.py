"""`referrals approve|deny|hold|…`: decisions, made through the API with one's own token."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from referral_rewards.cli import administration
from referral_rewards.cli.claims.bulk import chosen_from, decide_together
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import Data, people_needed, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.problems import DONE
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.claims.decision_kinds import REASON_CODES, DecisionKind
from referral_rewards.domain.errors import DecisionRefused, RequestInvalid, none_of
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.money import display, fits, parse_decimal, to_minor
from referral_rewards.domain.referrals.lifecycle import Side

_DIGITS_SHOWN = 12

record = typer.Typer(help="The record of decisions.", no_args_is_help=True)

_SAYS = {
    DecisionKind.APPROVE: "Approve a claim as it was shown.",
    DecisionKind.DENY: "Deny a claim, or leave a closed referral closed.",
    DecisionKind.HOLD: "Hold a claim back until it is released.",
    DecisionKind.RELEASE: "Release a claim that was held.",
    DecisionKind.REQUEST_EVIDENCE: "Ask for more evidence; the claim goes on waiting.",
    DecisionKind.REOPEN: "Reopen a referral that was closed: a fresh claim that admits late facts.",
}

Referral = Annotated[str, typer.Argument(metavar="REFERRAL")]
Referrals = Annotated[
    list[str] | None,
    typer.Argument(metavar="REFERRAL...", help="Two or more are decided together, unflagged ones only."),
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Decide on the claims that `queue --json` wrote to this file."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="CODE", help="Why, as a code.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, in words.")]
Digest = Annotated[
    str | None, typer.Option("--digest", help="The digest that `show` named; else that of the claim as it is.")
]


def commands() -> list[tuple[str, Callable[..., int]]]:
    """A command for each kind of decision, with its name."""
    own: Mapping[DecisionKind, Callable[..., int]] = {
        DecisionKind.ADJUST: adjust,
        DecisionKind.REASSIGN: reassign,
        DecisionKind.LINK: link,
    }
    return [(kind.replace("_", "-"), own.get(kind) or _command(kind)) for kind in DecisionKind]


def adjust(
    referral: Referral,
    leg: Annotated[Side, typer.Option("--leg", help="Whose reward.")],
    reason: Reason,
    note: Note,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="AMOUNT", help="What it is set to, in the program's currency.")
    ] = None,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Pay nothing for this leg.")] = False,
    user: As = None,
    digest: Digest = None,
    data: Data = None,
) -> int:
    if leave_out is (amount is not None):
        raise RequestInvalid("give either --amount or --leave-out", "--amount")

    def named(shown: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"leg": leg, **({"leave_out": True} if amount is None else {"amount_minor": _minor(amount, shown)})}

    return _decide_one(data, DecisionKind.ADJUST, referral, reason, note, user, digest, named)


def reassign(
    referral: Referral,
    to: Annotated[str, typer.Option("--to", metavar="REFERRER", help="Whom it belongs to, by their id.")],
    reason: Reason,
    note: Note,
    user: As = None,
    digest: Digest = None,
    data: Data = None,
) -> int:
    return _decide_one(data, DecisionKind.REASSIGN, referral, reason, note, user, digest, lambda _: {"referrer": to})


def link(
    referral: Referral,
    order: Annotated[str, typer.Option("--order", metavar="ORDER", help="The order, by its id.")],
    reason: Reason,
    note: Note,
    store: Annotated[
        str | None, typer.Option("--store", metavar="STORE", help="The store that gave it its id, where one is known.")
    ] = None,
    user: As = None,
    digest: Digest = None,
    data: Data = None,
) -> int:
    return _decide_one(
        data, DecisionKind.LINK, referral, reason, note, user, digest, lambda _: {"order": order, "store": store}
    )


def _say_what_it_does(command: Callable[..., int], kind: DecisionKind, said: str) -> None:
    command.__doc__ = f"{said} Reasons: {', '.join(REASON_CODES[kind])}."


_say_what_it_does(adjust, DecisionKind.ADJUST, "Set a claim's reward to another amount, or leave it out.")
_say_what_it_does(reassign, DecisionKind.REASSIGN, "Move a claim to another referrer; it then asks for approval.")
_say_what_it_does(link, DecisionKind.LINK, "Let a referral hear of an order that matches none.")


def _decide_one(
    data: Path | None,
    kind: DecisionKind,
    referral: str,
    reason: str,
    note: str,
    user: str | None,
    digest: str | None,
    named: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> int:
    if reason not in REASON_CODES[kind]:
        raise RequestInvalid(none_of(reason, REASON_CODES[kind]), "--reason")
    _decide(data, kind, referral, reason, note, user, digest, named)
    return DONE


def _minor(amount: str, shown: Mapping[str, Any]) -> int:
    """Return the amount in minor units of the currency of the claim that is shown."""
    currency = shown["claim"]["currency"] if shown["claim"] else None
    if currency is None:
        raise DecisionRefused(shown["referral"], "no_claim", f"it is {shown['status']}: there is no claim to decide")
    try:
        value = parse_decimal(amount)
        if value <= 0 or not fits(value, currency):
            raise ValueError(f"{amount} is no amount above zero in {currency}")
    except ValueError as error:
        raise RequestInvalid(str(error), "--amount") from None
    return to_minor(value, currency)


def _command(kind: DecisionKind) -> Callable[..., int]:
    def decide(
        reason: Reason,
        note: Note,
        user: As = None,
        referrals: Referrals = None,
        seen: From = None,
        digest: Digest = None,
        data: Data = None,
    ) -> int:
        if reason not in REASON_CODES[kind]:
            raise RequestInvalid(none_of(reason, REASON_CODES[kind]), "--reason")
        named = referrals or []
        if bool(named) is (seen is not None):
            raise RequestInvalid("name referrals, or a file with --from", "REFERRAL")
        if digest is not None and len(named) != 1:
            raise RequestInvalid("speaks of one referral", "--digest")
        if len(named) == 1:
            _decide(data, kind, named[0], reason, note, user, digest)
            return DONE
        return decide_together(data, kind, named if seen is None else chosen_from(seen), reason, note, user)

    decide.__doc__ = f"{_SAYS[kind]} Reasons: {', '.join(REASON_CODES[kind])}."
    return decide


def _decide(
    data: Path | None,
    kind: DecisionKind,
    referral: str,
    reason: str,
    note: str,
    user: str | None,
    digest: str | None,
    named: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {},
) -> None:
    """Decide on what is shown now; ``named`` gives from that what the decision names."""
    with api_of(data, user, Purpose.DECIDE) as api:
        claim = f"/v1/claims/{quote(referral, safe='')}"
        shown = api.get(claim)
        if shown["digest"] is None:
            raise DecisionRefused(
                referral, "no_claim", f"it is {label('status', shown['status'])}: there is no claim to decide"
            )
        tell(_in_brief(shown))
        looked_at = shown["digest"] if _is_start_of(digest, shown["digest"]) else digest
        decision = {"kind": kind, "reason": reason, "note": note, "digest": looked_at, **named(shown)}
        made = api.post(f"{claim}/decisions", decision)
    by = f"{made['user']} ({', '.join(labels('role', made['roles']))})"
    again = " before" if made["repeated"] else ""
    say(f"{referral}: {kind} by {by} was recorded{again} as decision {made['seq']}")


def _is_start_of(given: str | None, digest: str) -> bool:
    """Whether the digest is the one that was looked at: none given, or as many of its digits as are shown."""
    return given is None or (len(given) >= _DIGITS_SHOWN and digest.startswith(given))


def _in_brief(shown: dict[str, Any]) -> str:
    claim, status = shown["claim"], label("status", shown["status"])
    if claim is None or "reopen" in shown["takes"]:
        what = "closing" if "reopen" in shown["takes"] else "state"
        why = f" ({label('reason', shown['reason'])})" if shown["reason"] else ""
        return f"{shown['referral']} is {status}{why}; {what} {shown['digest'][:_DIGITS_SHOWN]}"
    legs = [f"{display(leg['amount_minor'], leg['currency'])} to {leg['beneficiary']}" for leg in claim["legs"]]
    needs = people_needed(claim["requirement"]["routes"], claim["requirement"]["people"])
    flags = ", ".join(dict.fromkeys(label("flag", raised["flag"]) for raised in claim["flags"])) or "no flags"
    advice = f"recommended: {label('recommendation', claim['recommendation'])}"
    override = "; approving it is an override" if claim["override"] else ""
    return (
        f"{shown['referral']} is {status}, {advice} ({flags}{override}): "
        f"{', '.join(legs) or 'no legs'}; needs {needs}; claim {shown['digest'][:_DIGITS_SHOWN]}"
    )


record.command("verify")(administration.verify_decisions)
