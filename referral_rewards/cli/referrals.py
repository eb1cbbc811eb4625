"""`referrals list`: where referrals stand."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.domain.money import display
from referral_rewards.domain.referrals.lifecycle import ReferralStatus

Program = Annotated[str | None, typer.Option("--program", metavar="PROGRAM", help="Only of this program.")]
Status = Annotated[ReferralStatus | None, typer.Option("--status", help="Only those that stand there.")]


def list_(
    as_json: AsJson = False, program: Program = None, status: Status = None, user: As = None, data: Data = None
) -> None:
    """List referrals and where each stands."""
    with api_of(data, user) as api:
        found = api.all("/v1/referrals", "referrals", _OPTIONS, program=program, status=status)
        _write_json(found) if as_json else _print_table(found)


_OPTIONS = {"program": "--program", "status": "--status"}


def _write_json(found: Iterable[dict[str, Any]]) -> None:
    """An array with an object a line, written as they are read."""
    before = "[\n"
    for referral in found:
        sys.stdout.write(before + json.dumps(referral, ensure_ascii=False))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def _print_table(found: Iterable[dict[str, Any]]) -> None:
    listed = table("referral", "program", "referrer", "status", "reason", "deadline", "conversion", "reward", "payouts")
    for each in found:
        bought, claim = each["conversion"], each["claim"]
        listed.add_row(
            each["referral"],
            f"{each['program'] or ''} {each['version'] or ''}".strip(),
            each["referrer"],
            each["status"],
            each["reason"],
            each["deadline"],
            f"{bought['order']} {display(bought['net_minor'], bought['currency'])}" if bought else "",
            ", ".join(display(leg["amount_minor"], leg["currency"]) for leg in claim["legs"]) if claim else "",
            ", ".join(payout["state"] for payout in each["payouts"]),
        )
    tables().print(listed)
