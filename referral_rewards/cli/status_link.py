"""`referrals status-link`: the secret link by which a referrer or a referee sees their own status."""

from typing import Annotated
from urllib.parse import quote

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import Data, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.referrals.lifecycle import Side


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
