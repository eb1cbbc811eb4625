"""`referrals user`: who may decide, which services may tell us of facts, and how they sign in. For administrators."""

import getpass
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli import administration
from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, tell
from referral_rewards.cli.credentials import Access, As
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, write_list
from referral_rewards.config.credentials import Purpose, store
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.instants import day
from referral_rewards.domain.labels.sentences import counted
from referral_rewards.domain.people.authority import Role, Scope

commands = typer.Typer(help="People and services, and how they sign in.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Roles = Annotated[list[Role], typer.Option("--role", help="In which capacity a person decides; may be repeated.")]
Scopes = Annotated[list[Scope], typer.Option("--scope", help="What a service may do; may be repeated.")]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="SOURCE", help="Of whose facts it may tell; '*' for every source; repeatable."),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="TYPE", help="Which facts it may tell: a type, a family (conversion.*) or '*'; repeatable."
    ),
]
Programs = Annotated[
    list[str] | None,
    typer.Option("--program", metavar="PROGRAM", help="Whose referrals it may read; '*' for every one; repeatable."),
]
Customer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="The person's own customer id.")]
Email = Annotated[
    str | None, typer.Option("--email", help="The person's own address: bars from claims they benefit from.")
]
Contact = Annotated[str | None, typer.Option("--contact", metavar="EMAIL", help="Where the person is written to.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take it away.")]
FromDatabase = Annotated[
    bool,
    typer.Option("--database", help="Add an administrator by the database's password: nobody can sign in as one."),
]

_PATH: Final = "/v1/users"
#: What the API's fields are called here.
_OPTIONS: Final = {
    "name": "NAME",
    "roles": "--role",
    "scopes": "--scope",
    "sources": "--source",
    "types": "--type",
    "programs": "--program",
    **{name: f"--{name}" for name in ("customer", "email", "contact", "issuer", "subject")},
}


def _ways(user: Mapping[str, Any]) -> str:
    """How somebody can sign in."""
    there = (
        ("password and code" if user["has_second_factor"] else "password", user["has_password"]),
        ("provider", user["identities"]),
        (counted(user["tokens"], "token"), user["tokens"]),
    )
    return ", ".join(way for way, has in there if has)


def _day(at: str | None) -> str | None:
    return day(datetime.fromisoformat(at)) if at else None


_COLUMNS: Final = (
    Column("name", lambda each: each["name"]),
    Column("roles", lambda each: "\n".join(each["roles"]), vocabulary="role"),
    Column("scopes", lambda each: ", ".join(each["scopes"]), spare=2),
    Column("tells", lambda each: "\n".join(each["tells_types"]), spare=5),
    Column("of sources", lambda each: "\n".join(each["tells_sources"]), spare=5),
    Column("reads", lambda each: "\n".join(each["reads_programs"]), spare=5),
    Column("known by", lambda each: ", ".join(each["mark_kinds"]), spare=3),
    Column("signs in by", _ways, spare=1),
    Column("since", lambda each: _day(each["created_at"]), spare=4),
    Column("unconfirmed", lambda each: each["unconfirmed"] or None, spare=1),
    Column("barred", lambda each: _day(each["barred_at"])),
)


@commands.command("list")
def list_(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List people and services, with their roles and how they can sign in."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        write_list(_COLUMNS, api.get(_PATH), form)


@commands.command()
def add(
    name: Name,
    roles: Roles = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    scopes: Scopes = [],  # noqa: B006
    sources: Sources = None,
    types: Types = None,
    programs: Programs = None,
    customer: Customer = None,
    email: Email = None,
    contact: Contact = None,
    from_database: FromDatabase = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Add a person or a service, and print the token once; a local stack's credentials.json keeps it too.

    Whoever tells facts (--scope events:write) tells those of a --source and of a --type that are named here, and no
    others; whoever reads where referrals stand (--scope referrals:read) reads those of each --program. The first
    administrator of an installation is added where REFERRALS_DATABASE_URL is set, without a token.
    """
    if not roles and not scopes:
        raise RequestInvalid("a person needs a --role, a service a --scope")
    access = Access.load(data)
    known = {"customer": customer, "email": email, "contact": contact}
    if from_database or (Role.ADMINISTRATOR in roles and _nobody_could(access, user)):
        if scopes:
            raise RequestInvalid("a service is added through the API", "--scope")
        if sources or types or programs:
            raise RequestInvalid("an administrator tells no facts", "--source" if sources else "--type")
        token = administration.add_administrator(data, name, roles, **known, recovering=from_database)
    else:
        with api_of(data, user, Purpose.ADMINISTER) as api:
            new = {"name": name, "roles": roles, "scopes": scopes, "programs": programs}
            new |= {"sources": sources, "types": types, **known}
            token = api.post(_PATH, new, options=_OPTIONS)["token"]
        if roles:
            tell(f"{name} decides once another administrator confirms them: referrals user confirm {name}")
    if access.is_of_the_local_stack:
        tell(f"stored in {store(access.data, name, token)}")
    say(token)


def _nobody_could(access: Access, user: str | None) -> bool:
    """Whether there is no token to ask the API by, and a database to begin with."""
    return access.names_a_database and not access.knows(user, Purpose.ADMINISTER)


@commands.command("roles")
def roles_(
    name: Name,
    roles: Annotated[list[Role], typer.Argument(metavar="[ROLE]...")] = [],  # noqa: B006
    user: As = None,
    data: Data = None,
) -> None:
    """Give a person these roles in place of the ones before; none take them all."""
    _act(data, user, "PUT", name, "roles", {"roles": roles})
    say(f"{name} is {', '.join(roles) or 'without a role'}")


@commands.command("rights")
def rights_(name: Name, sources: Sources = None, types: Types = None, user: As = None, data: Data = None) -> None:
    """Let somebody with the scope events:write tell these facts in place of those before; tokens tell less at once."""
    _act(data, user, "PUT", name, "rights", {"sources": sources, "types": types})
    say(f"{name} may tell {', '.join(types or ())} of {', '.join(sources or ())}")


@commands.command("programs")
def programs_(name: Name, programs: Programs = None, user: As = None, data: Data = None) -> None:
    """Let a service with the scope referrals:read read those of these programs in place of those before."""
    _act(data, user, "PUT", name, "programs", {"programs": programs})
    say(f"{name} reads {', '.join(programs or ())}")


@commands.command("marks")
def marks_(
    name: Name,
    customer: Customer = None,
    email: Email = None,
    remove: Remove = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Note who a person is, so that they never decide on claims they benefit from; --remove forgets all of it."""
    if not customer and not email and not remove:
        raise RequestInvalid("name a --customer or an --email, or --remove what is known")
    if remove:
        _act(data, user, "DELETE", name, "marks")
    else:
        _act(data, user, "PUT", name, "marks", {"customer": customer, "email": email})
    say(f"what is known of {name} {'is forgotten' if remove else 'is noted'}")


@commands.command("contact")
def contact_(
    name: Name,
    email: Annotated[str | None, typer.Argument(metavar="[EMAIL]")] = None,
    remove: Remove = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Note the address at which a person is written to, in place of the one before."""
    if (email is None) is not remove:
        raise RequestInvalid("give an EMAIL, or --remove the one there is")
    if remove:
        _act(data, user, "DELETE", name, "contact")
    else:
        _act(data, user, "PUT", name, "contact", {"email": email})
    say(f"the address of {name} is {'removed' if remove else 'noted'}")


@commands.command()
def password(name: Name, remove: Remove = False, user: As = None, data: Data = None) -> None:
    """Set a person's password: asked for on a terminal, else the first line of standard input. Sessions end."""
    if remove:
        _act(data, user, "DELETE", name, "password")
    else:
        _act(data, user, "PUT", name, "password", {"password": _typed()})
    say(f"the password of {name} is {'removed' if remove else 'set'}")


@commands.command("reset-second-factor")
def reset_second_factor(name: Name, user: As = None, data: Data = None) -> None:
    """Take the second factor of somebody who lost it away: they set up another at the next sign-in. Sessions end."""
    _act(data, user, "DELETE", name, "second-factor")
    say(f"the second factor of {name} is reset")


@commands.command()
def link(
    name: Name,
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="The provider, as it names itself.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="What the provider calls the person (`sub`).")] = "",
    remove: Remove = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Have whoever an OpenID provider knows by that subject sign in as this user; --remove unlinks every one."""
    if remove:
        _act(data, user, "DELETE", name, "identities")
    elif not issuer or not subject:
        raise RequestInvalid("name the --issuer and the --subject, or --remove what is linked")
    else:
        _act(data, user, "POST", name, "identities", {"issuer": issuer, "subject": subject})
    say(f"{name} is {'unlinked' if remove else 'linked'}")


@commands.command()
def confirm(name: Name, user: As = None, data: Data = None) -> None:
    """Stand behind what another administrator changed of somebody's account; until then they decide nothing."""
    path = f"{_PATH}/{quote(name, safe='')}"
    with api_of(data, user, Purpose.ADMINISTER) as api:
        changes = api.get(f"{path}/changes")
        for each in changes:
            tell(each["what"])
        if not changes:
            raise RequestInvalid(f"nothing of {name} waits to be confirmed", "NAME")
        api.send("PUT", f"{path}/confirmation", {"changes": [each["id"] for each in changes]}, options=_OPTIONS)
    say(f"{name} is confirmed")


@commands.command("end-sessions")
def end_sessions(name: Name, user: As = None, data: Data = None) -> None:
    """Sign a person out of every browser."""
    _act(data, user, "DELETE", name, "sessions")
    say(f"{name} is signed out everywhere")


@commands.command()
def bar(name: Name, user: As = None, data: Data = None) -> None:
    """Take every authority from somebody, at once: what they approved and was not sent yet stops for a person."""
    _act(data, user, "PUT", name, "bar")
    say(f"{name} is barred")


@commands.command()
def unbar(name: Name, user: As = None, data: Data = None) -> None:
    """Let somebody sign in again; the tokens there were stay revoked."""
    _act(data, user, "DELETE", name, "bar")
    say(f"{name} is no longer barred")


def _act(data: Path | None, user: str | None, method: str, name: str, what: str, body: Any = None) -> None:
    """Changes something of somebody, on record under whoever's token it is."""
    with api_of(data, user, Purpose.ADMINISTER) as api:
        api.send(method, f"{_PATH}/{quote(name, safe='')}/{what}", body, options=_OPTIONS)


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
