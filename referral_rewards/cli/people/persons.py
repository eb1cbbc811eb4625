"""`referrals person`: all that is on record about one person, and erasing it; `referrals keys`: what seals it."""

import getpass
import sys
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, write_list
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import RequestInvalid

commands = typer.Typer(help="Persons: all that is on record about one, and erasing it.", no_args_is_help=True)
keys = typer.Typer(help="The keys that seal personal data.", no_args_is_help=True)

Referrers = Annotated[list[str], typer.Option("--referrer", metavar="ID", help="An id as a referrer; may be repeated.")]
Customers = Annotated[list[str], typer.Option("--customer", metavar="ID", help="A customer id of yours.")]
Email = Annotated[bool, typer.Option("--email", help="Ask for an email address, or read it from the input.")]
Phone = Annotated[bool, typer.Option("--phone", help="Ask for a phone number with its country, or read it.")]

_PATH: Final = "/v1/persons"
_OPTIONS: Final = {name: f"--{name}" for name in ("referrer", "customer", "email", "phone")}


@commands.command()
def export(
    referrers: Referrers = [],  # noqa: B006 (typer reads the defaults, nothing writes to them)
    customers: Customers = [],  # noqa: B006
    email: Email = False,
    phone: Phone = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Print all that is on record about a person, as one JSON document. That you looked stands in the log."""
    asked = _asked(referrers, customers, email=email, phone=phone)
    with api_of(data, user, Purpose.ADMINISTER) as api:
        say_json(api.post(f"{_PATH}/export", asked, options=_OPTIONS))


@commands.command()
def erase(
    referrers: Referrers = [],  # noqa: B006
    customers: Customers = [],  # noqa: B006
    email: Email = False,
    phone: Phone = False,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Erase what can be read of a person: at once, or as soon as nothing of theirs is open any more."""
    asked = _asked(referrers, customers, email=email, phone=phone)
    with api_of(data, user, Purpose.ADMINISTER) as api:
        done = api.post(f"{_PATH}/erase", asked, options=_OPTIONS)
    if as_json:
        say_json(done)
    elif done["erased_at"]:
        say(f"erased: {done['texts_blanked']} texts, {done['payloads_blanked']} events of sources")
    else:
        say(f"waits, and goes on by itself ({done['id']}):")
        for each in done["waits"]:
            say(f"  {each}")


_COLUMNS: Final = (
    Column("id", lambda each: each["id"]),
    Column("asked", lambda each: each["asked_at"]),
    Column("by", lambda each: each["asked_by"], spare=2),
    Column("erased", lambda each: each["erased_at"]),
    Column("waits for", lambda each: "\n".join(each["waits"]), spare=1),
    Column("texts", lambda each: str(each["texts_blanked"]), spare=3),
    Column("events", lambda each: str(each["payloads_blanked"]), spare=3),
    Column("marks go", lambda each: each["marks_removed_at"] or each["marks_due_at"] or each["marks_stay"], spare=2),
)


@commands.command()
def erasures(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List what was asked to be erased, newest first, and what each waits for."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user, Purpose.ADMINISTER) as api:
        write_list(_COLUMNS, api.get(f"{_PATH}/erasures"), form)


_KEYS: Final = (
    Column("key", lambda each: each["key"]),
    Column("rows", lambda each: str(each["rows"])),
    Column("", lambda each: "seals" if each["is_newest"] else "opens only"),
)


@keys.command("list")
def list_keys(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List the keys by their names, with how many rows each sealed."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user, Purpose.ADMINISTER) as api:
        write_list(_KEYS, api.get(f"{_PATH}/keys"), form)


@keys.command()
def reseal(user: As = None, data: Data = None) -> None:
    """Seal anew with the newest key what earlier ones sealed. Interrupted, it is run again."""
    place: dict[str, Any] = {}
    rows, left = 0, 0
    with api_of(data, user, Purpose.ADMINISTER) as api:
        while True:
            done = api.post(f"{_PATH}/keys/reseal", place)
            rows += done["rows"]
            if done["rows"]:
                tell(f"{rows} rows sealed anew")
            if done["table"] is None:
                left = done["left"]
                break
            place = {"table": done["table"], "after": done["after"]}
    say(f"{rows} rows sealed anew, {left} left under other keys")
    if left:
        raise typer.Exit(1)


def _asked(referrers: list[str], customers: list[str], *, email: bool, phone: bool) -> dict[str, list[str]]:
    given = {"referrer": referrers, "customer": customers}
    if email and phone and not sys.stdin.isatty():
        raise RequestInvalid("give --email or --phone; the input holds one value")
    given |= {name: [_read(name)] for name, wanted in (("email", email), ("phone", phone)) if wanted}
    found = {name: values for name, values in given.items() if values}
    if not found:
        raise RequestInvalid(f"name the person by at least one of {', '.join(_OPTIONS.values())}")
    return found


def _read(name: str) -> str:
    """A value that no shell keeps and no list of processes shows."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return getpass.getpass(f"{name.capitalize()} (not shown): ").strip()
