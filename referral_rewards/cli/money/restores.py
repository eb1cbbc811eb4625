"""`referrals restored` and `referrals resync`: what to do after the register or Temporal was restored."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import Data, say
from referral_rewards.cli.credentials import As
from referral_rewards.config.credentials import Purpose

_FORMS: Final = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d")


def _moment(written: str) -> datetime:
    """Read a moment in UTC."""
    for form in _FORMS:
        with suppress(ValueError):
            return datetime.strptime(written, form).replace(tzinfo=UTC)
    raise typer.BadParameter(f"{written!r} is no moment in UTC; write it like 2026-07-24T14:00Z")


def restored(
    at: Annotated[
        datetime,
        typer.Option("--at", metavar="TIME", parser=_moment, help="To which moment, in UTC: 2026-07-24T14:00Z."),
    ],
    user: As = None,
    data: Data = None,
) -> None:
    """Record that the register was restored to an earlier state: every outside rail halts."""
    with api_of(data, user, Purpose.DECIDE) as api:
        told = {"restored_to": at.isoformat()}
        made = api.post("/v1/restores", told, options={"restored_to": "--at"})
    say(f"recorded as restore {made['number']}, to {made['restored_to']}; every outside rail is halted")
    say("each opens again by `referrals rails reopen RAIL`, once it is reconciled")


def resync(user: As = None, data: Data = None) -> None:
    """Start or wake everything that is open, after Temporal was lost or restored."""
    with api_of(data, user, Purpose.DECIDE) as api:
        woken = api.post("/v1/restores/resync", {})["woken"]
    say(f"{woken} workflows were woken")
