"""`referrals user`: who may decide, which services may tell us of facts, and how they sign in."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.cli.console import AsJson, Data, database, say, say_json, settings, table, tables, tell
from referral_rewards.cli.credentials import store
from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import passwords
from referral_rewards.register.people.users import Scope
from referral_rewards.reporting.plain_values import day, plain

commands = typer.Typer(help="People and services, and how they sign in.", no_args_is_help=True)

T = TypeVar("T")
Name = Annotated[str, typer.Argument(metavar="NAME")]
Roles = Annotated[list[Role], typer.Option("--role", help="In which capacity a person decides; may be repeated.")]
Scopes = Annotated[list[Scope], typer.Option("--scope", help="What a service may do; may be repeated.")]
Customer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="The person's own customer id.")]
Email = Annotated[
    str | None, typer.Option("--email", help="The person's own address: bars from claims they benefit from.")
]
Contact = Annotated[str | None, typer.Option("--contact", metavar="EMAIL", help="Where the person is written to.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take it away.")]


@commands.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List people and services, with their roles and how they can sign in."""
    rows = _run(settings(data), people.listing)
    if as_json:
        say_json([plain(row) for row in rows])
        return
    listed = table("name", "roles", "scopes", "known by", "signs in by", "since", "barred")
    for row in rows:
        ways = [("password", row.has_password), ("provider", row.identities), (f"{row.tokens} tokens", row.tokens)]
        listed.add_row(
            row.name,
            ", ".join(row.roles),
            ", ".join(row.scopes),
            ", ".join(row.mark_kinds),
            ", ".join(way for way, there in ways if there),
            day(row.created_at),
            day(row.barred_at) if row.barred_at else "",
        )
    tables().print(listed)


@commands.command()
def add(
    name: Name,
    roles: Roles = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    scopes: Scopes = [],  # noqa: B006
    customer: Customer = None,
    email: Email = None,
    contact: Contact = None,
    data: Data = None,
) -> None:
    """Add a person or a service, and print the token once; a local stack's credentials.json keeps it too."""
    if not roles and not scopes:
        raise RequestInvalid("a person needs a --role, a service a --scope")
    chosen = settings(data)
    marks = _marks(chosen, customer, email)

    async def work(connection: AsyncConnection) -> str:
        now, by = datetime.now(UTC), getpass.getuser()
        token = await people.add(
            connection, name, roles=roles, scopes=scopes, marks=marks, by=by, at=now, with_token=True
        )
        if contact is not None:
            await people.set_contact(connection, name, contact, by=by, at=now)
        return token or ""

    token = _run(chosen, work)
    if chosen.stack() is not None:
        tell(f"stored in {store(chosen.data, name, token)}")
    say(token)


@commands.command("roles")
def roles_(
    name: Name,
    roles: Annotated[list[Role], typer.Argument(metavar="[ROLE]...")] = [],  # noqa: B006
    data: Data = None,
) -> None:
    """Give a person these roles in place of the ones before; none take them all."""
    _act(data, lambda connection, by, now: people.set_roles(connection, name, roles, by=by, at=now))
    say(f"{name} is {', '.join(roles) or 'without a role'}")


@commands.command("marks")
def marks_(
    name: Name, customer: Customer = None, email: Email = None, remove: Remove = False, data: Data = None
) -> None:
    """Note who a person is, so that they never decide on claims they benefit from; --remove forgets all of it."""
    chosen = settings(data)
    marks = frozenset[str]() if remove else _marks(chosen, customer, email)
    if not marks and not remove:
        raise RequestInvalid("name a --customer or an --email, or --remove what is known")
    _act(data, lambda connection, by, now: people.set_marks(connection, name, marks, by=by, at=now))
    say(f"what is known of {name} {'is forgotten' if remove else 'is noted'}")


@commands.command("contact")
def contact_(
    name: Name,
    email: Annotated[str | None, typer.Argument(metavar="[EMAIL]")] = None,
    remove: Remove = False,
    data: Data = None,
) -> None:
    """Note the address at which a person is written to, in place of the one before."""
    if (email is None) is not remove:
        raise RequestInvalid("give an EMAIL, or --remove the one there is")
    _act(data, lambda connection, by, now: people.set_contact(connection, name, email, by=by, at=now))
    say(f"the address of {name} is {'removed' if remove else 'noted'}")


@commands.command()
def password(name: Name, remove: Remove = False, data: Data = None) -> None:
    """Set a person's password: asked for on a terminal, else the first line of standard input. Sessions end."""
    chosen, hashed = settings(data), None
    if not remove:
        typed = _typed()
        passwords.check(typed, name)
        hashed = asyncio.run(passwords.hash_of(typed))

    async def work(connection: AsyncConnection) -> None:
        await people.set_password(connection, name, hashed, by=getpass.getuser(), at=datetime.now(UTC))

    _run(chosen, work)
    say(f"the password of {name} is {'removed' if remove else 'set'}")


@commands.command()
def link(
    name: Name,
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="The provider, as it names itself.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="What the provider calls the person (`sub`).")] = "",
    remove: Remove = False,
    data: Data = None,
) -> None:
    """Have whoever an OpenID provider knows by that subject sign in as this user; --remove unlinks every one."""
    if remove:
        _act(data, lambda connection, by, now: people.unlink(connection, name, by=by, at=now))
    elif not issuer or not subject:
        raise RequestInvalid("name the --issuer and the --subject, or --remove what is linked")
    else:
        _act(
            data,
            lambda connection, by, now: people.link(connection, name, issuer=issuer, subject=subject, by=by, at=now),
        )
    say(f"{name} is {'unlinked' if remove else 'linked'}")


@commands.command("end-sessions")
def end_sessions(name: Name, data: Data = None) -> None:
    """Sign a person out of every browser."""
    _act(data, lambda connection, by, now: people.end_sessions(connection, name, by=by, at=now))
    say(f"{name} is signed out everywhere")


@commands.command()
def bar(name: Name, data: Data = None) -> None:
    """Take every authority from somebody, at once: what they approved and was not sent yet stops for a person."""
    _act(data, lambda connection, by, now: people.bar(connection, name, by=by, at=now))
    say(f"{name} is barred")


@commands.command()
def unbar(name: Name, data: Data = None) -> None:
    """Let somebody sign in again; the tokens there were stay revoked."""
    _act(data, lambda connection, by, now: people.unbar(connection, name, by=by, at=now))
    say(f"{name} is no longer barred")


def _run(chosen: Settings, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with database(chosen) as there, there.transaction() as connection:
            return await work(connection)

    return asyncio.run(opened())


def _act(data: Path | None, act: Callable[[AsyncConnection, str, datetime], Awaitable[Any]]) -> None:
    """Does it in a transaction, on record under whoever runs the command."""
    _run(settings(data), lambda connection: act(connection, getpass.getuser(), datetime.now(UTC)))


def _marks(chosen: Settings, customer: str | None, email: str | None) -> frozenset[str]:
    if not customer and not email:
        return frozenset()
    return Marker(chosen.pepper_bytes()).marks({"customer": customer, "email": email})


def _typed() -> str:
    """A password from a person twice, or from a program once; never from the command line, which others can read.

    Raises:
        RequestInvalid: if the two differ.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise RequestInvalid("the two passwords differ")
    return first
