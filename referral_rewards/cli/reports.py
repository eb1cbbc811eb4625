"""`referrals report`: reports as files."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, TextIO

import typer

from referral_rewards.cli.console import Data, database, settings
from referral_rewards.cli.output import Output, written
from referral_rewards.reporting.books.span import see_one_moment
from referral_rewards.reporting.payees import year as sheet
from referral_rewards.reporting.payees.year import Regime

commands = typer.Typer(help="Reports as files.", no_args_is_help=True)


@commands.command()
def tax(
    year: Annotated[
        int, typer.Option("--year", min=1970, max=2999, help="The calendar year, on each program's clock.")
    ],
    regime: Annotated[Regime | None, typer.Option("--regime", help="Only under this regime.")] = None,
    output: Output = None,
    data: Data = None,
) -> None:
    """Write what each payee was paid in a calendar year, what of it is to be reported and what was withheld, in CSV."""
    now, of = datetime.now(UTC), regime.value if regime else None

    async def work(into: TextIO) -> None:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            await see_one_moment(connection)
            async for each in sheet.report(connection, year, now, regime=of):
                into.write(each)

    with written(output) as into:
        asyncio.run(work(into))
