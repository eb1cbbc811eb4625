"""`referrals token`: tokens for programs and the command line, for some of what their user may do."""

import asyncio
import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from referral_rewards.cli.console import AsJson, Data, database, say, say_json, settings, table, tables, tell
from referral_rewards.cli.credentials import store
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import tokens, users
from referral_rewards.register.people.users import Scope
from referral_rewards.reporting.plain_values import day, plain

commands = typer.Typer(help="API tokens.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="USER")]
Scopes = Annotated[list[Scope], typer.Option("--scope", help="What it may do; all that the user may, if not given.")]
Days = Annotated[int, typer.Option("--days", min=1, max=366, help="For how long.")]
Keep = Annotated[bool, typer.Option("--keep", help="Store it in a local stack's credentials.json for --as.")]


@commands.command()
def add(
    name: Name,
    label: Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")],
    scopes: Scopes = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    days: Days = 90,
    keep: Keep = False,
    data: Data = None,
) -> None:
    """Issue a token, and print it once."""
    chosen = settings(data)

    async def work() -> str:
        async with database(chosen) as opened, opened.transaction() as connection:
            user, now = await users.named(connection, name), datetime.now(UTC)
            _, token = await tokens.issue(
                connection,
                user,
                label=label,
                scopes=scopes or user.scopes,
                expires_at=now + timedelta(days=days),
                at=now,
                by=getpass.getuser(),
            )
            return token

    token = asyncio.run(work())
    if keep:
        tell(f"stored in {store(chosen.data, name, token)}")
    say(token)


@commands.command("list")
def list_(name: Name, as_json: AsJson = False, data: Data = None) -> None:
    """List a user's tokens, newest first: what they are for, never themselves."""

    async def work() -> list[Any]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            await people.one(connection, name)
            return list(await tokens.of(connection, name))

    rows = asyncio.run(work())
    if as_json:
        say_json([plain(row) for row in rows])
        return
    listed = table("id", "for", "may", "issued", "until", "revoked")
    for row in rows:
        until = day(row.expires_at) if row.expires_at else ""
        revoked = day(row.revoked_at) if row.revoked_at else ""
        listed.add_row(str(row.id), row.label, ", ".join(row.scopes), day(row.created_at), until, revoked)
    tables().print(listed)


@commands.command()
def revoke(number: Annotated[UUID, typer.Argument(metavar="ID")], data: Data = None) -> None:
    """Revoke a token, at once."""

    async def work() -> None:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            await tokens.revoke(connection, number, by=getpass.getuser(), at=datetime.now(UTC))

    asyncio.run(work())
    say(f"{number} is revoked")
