"""`referrals list` and `status-link`: where referrals stand, and the secret link to one's own status."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Order, Since, Summed, Until, write_chosen
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, order_of
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.money import display
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side

Program = Annotated[str | None, typer.Option("--program", metavar="PROGRAM", help="Only of this program.")]
Status = Annotated[ReferralStatus | None, typer.Option("--status", help="Only those that stand there.")]


_COLUMNS: Final = (
    Column("referral", lambda each: each["referral"]),
    Column("program", lambda each: f"{each['program'] or ''} {each['version'] or ''}".strip(), spare=1),
    Column("referrer", lambda each: each["referrer"]),
    Column("status", lambda each: each["status"], vocabulary="status"),
    Column("reason", lambda each: each["reason"], spare=2, vocabulary="reason"),
    Column("deadline", lambda each: each["deadline"], spare=4),
    Column("conversion", lambda each: _conversion(each["conversion"]), spare=5),
    Column("reward", lambda each: _reward(each["claim"])),
    Column("payouts", lambda each: "\n".join(payout["state"] for payout in each["payouts"]), 3, "payout_state"),
)


def list_(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    program: Program = None,
    status: Status = None,
    since: Since = None,
    until: Until = None,
    sort: Order = None,
    totals: Summed = False,
    user: As = None,
    data: Data = None,
) -> None:
    """List referrals and where each stands."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        wanted = {"program": program, "status": status}
        write_chosen(api, "/v1/referrals", "referrals", _COLUMNS, form, Chosen(since, until, sort, totals), wanted)


def _conversion(bought: Mapping[str, Any] | None) -> str | None:
    return f"{order_of(bought)} {display(bought['net_minor'], bought['currency'])}" if bought else None


def _reward(claim: Mapping[str, Any] | None) -> str | None:
    return ", ".join(display(leg["amount_minor"], leg["currency"]) for leg in claim["legs"]) if claim else None


def status_link(
    referral: Annotated[str, typer.Argument(metavar="REFERRAL")],
    side: Annotated[Side, typer.Option("--side", help="Whose own status it shows.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="End every link given out so far; print a new one.")] = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Print the secret link to one side's own status page: whoever has it can see that page."""
    with api_of(data, user, Purpose.ADMINISTER) as api:
        given = api.post(f"/v1/referrals/{quote(referral, safe='')}/status-links", {"side": side, "revoke": revoke})
    if revoke:
        tell(f"every link to the {side}'s status of {referral} that was given out before has ended")
    say(given["url"])
