"""`referrals reconcile`: what a rail paid, compared with what we hold. The API asks; no provider's secret is here."""

import time
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.credentials import Access, answer_of, api_of
from referral_rewards.cli.decisions import As
from referral_rewards.cli.ledger import Since, Until
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS

if TYPE_CHECKING:
    import httpx

_PATH: Final = "/v1/reconciliations"
_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0


def reconcile(
    rail: Annotated[str, typer.Argument(metavar="RAIL", help="As terms name it, such as stripe_transfer.")],
    user: As,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    data: Data = None,
) -> int:
    """Compare what a rail lists as paid with what we hold, by default of the last 31 days: a line for each difference.

    Exit code 1 if there is any, or if the rail could not be asked.
    """
    span = {"since": _day(since), "until": _day(until)}
    with api_of(Access.load(data), user) as api:
        asked = answer_of(api.post(_PATH, json={"rail": rail, **{name: day for name, day in span.items() if day}}))
        ended = _ended(api, asked["id"])
        found = _differences(api, asked["id"])
    if as_json:
        say_json({**ended, "found": found})
    else:
        for each in found:
            say(each["said"])
        _tell_in_brief(ended)
    return DONE if ended["state"] == "done" and not found else FOUND_PROBLEMS


def _ended(api: "httpx.Client", reconciliation: str) -> dict[str, Any]:
    """The reconciliation once it is over. A long list takes long: it is asked for less and less often."""
    pause = _PAUSE_SECONDS
    while True:
        shown = answer_of(api.get(f"{_PATH}/{reconciliation}", params={"limit": 1}))
        if shown["state"] in ("done", "failed"):
            return {name: value for name, value in shown.items() if name not in ("found", "next")}
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _differences(api: "httpx.Client", reconciliation: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = answer_of(api.get(f"{_PATH}/{reconciliation}", params={"limit": 1000, **after}))
        found += page["found"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def _tell_in_brief(ended: dict[str, Any]) -> None:
    if ended["state"] == "failed":
        tell(ended["why"])
        return
    span = f"{ended['since'][:16]}Z to {ended['until'][:16]}Z"
    counts = f"{ended['ours']} payouts of ours, {ended['theirs']} payments listed, {ended['differences']} differences"
    tell(f"{ended['rail']}, {span}: {counts}")
    if ended["unseen"]:
        tell(f"not seen: {ended['unseen']}")


def _day(moment: datetime | None) -> str | None:
    day: date | None = None if moment is None else moment.date()
    return None if day is None else day.isoformat()
