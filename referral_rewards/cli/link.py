"""`referrals link`: the secret link by which a referrer or a referee sees their own status."""

import asyncio
from typing import Annotated

import typer

from referral_rewards.cli.console import Data, database, say, settings, tell
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import NotFound
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals


def link(
    referral: Annotated[str, typer.Argument(metavar="REFERRAL")],
    side: Annotated[Side, typer.Option("--side", help="Whose own status it shows.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="End every link given out so far; print a new one.")] = False,
    data: Data = None,
) -> None:
    """Print the secret link to one side's own status page: whoever has it can see that page."""
    chosen = settings(data)
    key = Intake(chosen.pepper_bytes()).key_for(status_links.PURPOSE)

    async def work() -> str:
        async with database(chosen) as opened, opened.transaction() as connection:
            if revoke:
                await status_links.revoke(connection, referral, side)
            row = await referrals.row(connection, referral)
            if row is None:
                raise NotFound("referral", referral)
            return status_links.path(key, row, side)

    path = asyncio.run(work())
    if revoke:
        tell(f"every link to the {side}'s status of {referral} that was given out before has ended")
    say(chosen.home_url() + path)
