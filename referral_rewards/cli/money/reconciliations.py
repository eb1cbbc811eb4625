"""`referrals reconcile`: what a rail paid, compared with what we hold. The API asks; no provider's secret is here."""

import time
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.money.ledger import Since, Until, day_of
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.labels.sentences import counted

_PATH: Final = "/v1/reconciliations"
_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0


def reconcile(
    rail: Annotated[str, typer.Argument(metavar="RAIL", help="As terms name it, such as stripe_transfer.")],
    since: Since = None,
    until: Until = None,
    user: As = None,
    as_json: AsJson = False,
    data: Data = None,
) -> int:
    """Compare what a rail lists as paid with what we hold, by default of the last 31 days: a line for each difference.

    Exit code 1 if there is any, or if the rail could not be asked. A payment that is under way has a line too, and is
    no difference.
    """
    span = {name: day.isoformat() for name, day in (("since", day_of(since)), ("until", day_of(until))) if day}
    options = {"rail": "RAIL", "since": "--since", "until": "--until"}
    with api_of(data, user, Purpose.DECIDE) as api:
        asked = api.post(_PATH, {"rail": rail, **span}, options=options)
        ended = _ended(api, asked["id"])
        found = _differences(api, asked["id"])
    if as_json:
        say_json({**ended, "found": found})
    else:
        for each in found:
            say(each["said"])
        _tell_in_brief(ended)
    return DONE if ended["state"] == "done" and not ended["differences"] else FOUND_PROBLEMS


def _ended(api: Api, reconciliation: str) -> dict[str, Any]:
    """The reconciliation once it is over. A long list takes long: it is asked for less and less often."""
    pause = _PAUSE_SECONDS
    while True:
        shown = api.get(f"{_PATH}/{reconciliation}", limit=1)
        if shown["state"] in ("done", "failed"):
            return {name: value for name, value in shown.items() if name not in ("found", "next")}
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _differences(api: Api, reconciliation: str) -> list[dict[str, Any]]:
    return list(api.all(f"{_PATH}/{reconciliation}", "found", limit=1000))


def _tell_in_brief(ended: dict[str, Any]) -> None:
    if ended["state"] == "failed":
        tell(ended["why"])
        return
    span = f"{ended['since'][:16]}Z to {ended['until'][:16]}Z"
    counts = (
        f"{counted(ended['ours'], 'payout')} of ours, {counted(ended['theirs'], 'payment')} listed, "
        f"{counted(ended['differences'], 'difference')}{' in what can be compared' if ended['unseen'] else ''}"
    )
    tell(f"{ended['rail']}, {span}: {counts}")
    if ended["under_way"]:
        tell(f"{counted(ended['under_way'], 'payment')} under way, which is no difference: compare again later")
    if ended["unseen"]:
        tell(f"not seen: {ended['unseen']}")
