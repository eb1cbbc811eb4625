"""`referrals redirect`: finance binds what waits for a payee to the payment method that they have now."""

from typing import Annotated, Any

import typer

from referral_rewards.cli.claims.decisions import Note, Reason
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import Data, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.money.acts import Digest, is_start_of
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display

_PATH = "/v1/redirects"
_REASONS = REASONS[MoneyAct.REDIRECT_PAYEE]

Rail = Annotated[str, typer.Option("--rail", metavar="RAIL", help="The rail on which it waits.")]
To = Annotated[
    str | None, typer.Option("--to", metavar="REFERENCE", help="The destination that is meant; else the one on record.")
]


def redirect(
    payee: Annotated[str, typer.Argument(metavar="PAYEE")],
    rail: Rail,
    reason: Reason,
    note: Note,
    to: To = None,
    user: As = None,
    digest: Digest = None,
    data: Data = None,
) -> None:
    """Bind what waits for a payee to the payment method that they have now.

    The first method of a payee takes one person of finance. One that takes the place of another takes two, a day after
    the payee was told of it. Reasons: confirmed_with_payee, details_corrected, other.
    """
    if reason not in _REASONS:
        raise RequestInvalid(none_of(reason, _REASONS), "--reason")
    options = {"payee": "PAYEE", "rail": "--rail", "to": "--to"}
    with api_of(data, user, Purpose.DECIDE) as api:
        shown = api.get(_PATH, payee=payee, rail=rail, options=options)
        tell(_in_brief(shown))
        looked_at = shown["digest"] if is_start_of(digest, shown["digest"]) else digest
        asked = {"payee": payee, "rail": rail, "to": to, "reason": reason, "note": note, "digest": looked_at}
        made = api.post(_PATH, asked)
    by = f"{made['user']} ({listed([label('role', each) for each in made['roles']])})"
    again = " before" if made["repeated"] else ""
    say(f"{payee}: recorded{again} as decision {made['seq']}: {label('decided', made['act'])} by {by}")
    left = made["people"] - len({*shown["signed_by"], made["user"]})
    if left > 0:
        say(f"another person of finance must sign it too before anything is paid to {made['destination']}")


def _in_brief(shown: dict[str, Any]) -> str:
    """Return what would be redirected, in one line for whoever decides on it."""
    amounts = [f"{display(each['amount_minor'], each['currency'])} of {each['referral']}" for each in shown["waiting"]]
    waits = listed(amounts) if amounts else "nothing"
    where = shown["destination"] or "none"
    since = f", set at {shown['set_at']} by {shown['source']}" if shown["destination"] else ""
    former = f"; before {listed(shown['former'])}" if shown["former"] else ""
    told = f"; told at {shown['told_at']}" if shown["told_at"] else ""
    return f"{shown['payee']}, {label('rail', shown['rail'])}: {waits} waits; now {where}{since}{former}{told}"
