"""`referrals token`: tokens for programs and the command line, for some of what their user may do."""

from datetime import datetime
from typing import Annotated, Final
from urllib.parse import quote
from uuid import UUID

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, tell
from referral_rewards.cli.credentials import Access, As
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, write_list
from referral_rewards.cli.people.users import Sources, Types
from referral_rewards.config.credentials import Purpose, store
from referral_rewards.domain.instants import day
from referral_rewards.domain.people.authority import Scope

commands = typer.Typer(help="API tokens: one's own, or anybody's for administrators.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="USER")]
Scopes = Annotated[list[Scope], typer.Option("--scope", help="What it may do; all that the user may, if not given.")]
Days = Annotated[int, typer.Option("--days", min=1, max=366, help="For how long.")]
Keep = Annotated[bool, typer.Option("--keep", help="Store it in a local stack's credentials.json for --as.")]

_OPTIONS: Final = {
    "label": "--label",
    "scopes": "--scope",
    "sources": "--source",
    "types": "--type",
    "days": "--days",
}


@commands.command()
def add(
    name: Name,
    label: Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")],
    scopes: Scopes = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    sources: Sources = None,
    types: Types = None,
    days: Days = 90,
    keep: Keep = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Issue a token, and print it once.

    One that tells facts may tell those of a --source and a --type; all that its user may tell, if none are named.
    """
    with api_of(data, user, Purpose.ADMINISTER) as api:
        new = {"label": label, "scopes": scopes, "sources": sources, "types": types, "days": days}
        token = api.post(_of(name), new, options=_OPTIONS)["token"]
    if keep:
        tell(f"stored in {store(Access.load(data).data, name, token)}")
    say(token)


_COLUMNS: Final = (
    Column("id", lambda each: each["id"]),
    Column("for", lambda each: each["label"]),
    Column("may", lambda each: ", ".join(each["scopes"]), spare=1),
    Column("tells", lambda each: "\n".join(each["types"]), spare=3),
    Column("of sources", lambda each: "\n".join(each["sources"]), spare=3),
    Column("issued", lambda each: _day(each["created_at"]), spare=2),
    Column("until", lambda each: _day(each["expires_at"])),
    Column("revoked", lambda each: _day(each["revoked_at"])),
)


@commands.command("list")
def list_(
    name: Name,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List a user's tokens, newest first: what they are for, never themselves."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        write_list(_COLUMNS, api.get(_of(name)), form)


@commands.command()
def revoke(number: Annotated[UUID, typer.Argument(metavar="ID")], user: As = None, data: Data = None) -> None:
    """Revoke a token, at once."""
    with api_of(data, user, Purpose.ADMINISTER) as api:
        api.send("DELETE", f"/v1/tokens/{number}")
    say(f"{number} is revoked")


def _of(name: str) -> str:
    return f"/v1/users/{quote(name, safe='')}/tokens"


def _day(instant: str | None) -> str:
    return day(datetime.fromisoformat(instant)) if instant else ""
