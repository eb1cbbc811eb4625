"""`referrals list` and `referrals show`: where referrals stand, and why."""

import asyncio
import json
import sys
from typing import Annotated, Any

import typer

from referral_rewards.cli.console import AsJson, Data, database, settings, table, tables
from referral_rewards.domain.money import display
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.referrals.listing import Wanted, listing

Program = Annotated[str | None, typer.Option("--program", metavar="PROGRAM", help="Only of this program.")]
Status = Annotated[ReferralStatus | None, typer.Option("--status", help="Only those that stand there.")]


def list_(as_json: AsJson = False, program: Program = None, status: Status = None, data: Data = None) -> None:
    """List referrals and where each stands."""
    wanted = Wanted(program=program, status=status)
    asyncio.run(_write_json(wanted, data) if as_json else _print_table(wanted, data))


async def _write_json(wanted: Wanted, data: Any) -> None:
    """An array with an object a line, written as they are read."""
    async with database(settings(data)) as opened, opened.transaction() as connection:
        before = "[\n"
        async for referral in listing(connection, wanted):
            sys.stdout.write(before + json.dumps(referral.as_json(), ensure_ascii=False))
            before = ",\n"
        sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


async def _print_table(wanted: Wanted, data: Any) -> None:
    listed = table("referral", "program", "referrer", "status", "reason", "deadline", "conversion", "reward", "payouts")
    async with database(settings(data)) as opened, opened.transaction() as connection:
        async for referral in listing(connection, wanted):
            each = referral.as_json()
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
