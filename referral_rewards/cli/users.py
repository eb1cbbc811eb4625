"""`referrals user`: who may decide, and which services may tell us of facts."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from referral_rewards.cli.console import Data, database, say, settings, tell
from referral_rewards.cli.credentials import store
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.identity import Marker, id_problem
from referral_rewards.domain.terms import Role
from referral_rewards.register import users
from referral_rewards.register.users import Scope

commands = typer.Typer(help="People and services, and their tokens.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Roles = Annotated[list[Role], typer.Option("--role", help="In which capacity a person decides; may be repeated.")]
Scopes = Annotated[list[Scope], typer.Option("--scope", help="What a service may do; may be repeated.")]
Customer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="The person's own customer id.")]
Email = Annotated[
    str | None, typer.Option("--email", help="The person's own address: bars from claims they benefit from.")
]


@commands.command()
def add(
    name: Name,
    roles: Roles = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    scopes: Scopes = [],  # noqa: B006
    customer: Customer = None,
    email: Email = None,
    data: Data = None,
) -> None:
    """Add a person or a service, and print the token once; a local stack's credentials.json keeps it too."""
    if problem := id_problem(name):
        raise RequestInvalid(problem, "NAME")
    if not roles and not scopes:
        raise RequestInvalid("a person needs a --role, a service a --scope")
    chosen = settings(data)
    identity = {"customer": customer, "email": email}
    marks = Marker(chosen.pepper_bytes()).marks(identity) if customer or email else frozenset[str]()

    async def work() -> str:
        async with database(chosen) as opened, opened.transaction() as connection:
            return await users.add(connection, name, roles=roles, scopes=scopes, marks=marks, at=datetime.now(UTC))

    token = asyncio.run(work())
    if chosen.stack() is not None:
        tell(f"stored in {store(chosen.data, name, token)}")
    say(token)


@commands.command()
def bar(name: Name, data: Data = None) -> None:
    """Take every authority from somebody, at once: what they approved and was not sent yet stops for a person."""

    async def work() -> None:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            await users.bar(connection, name, at=datetime.now(UTC))

    asyncio.run(work())
    say(f"{name} is barred")
