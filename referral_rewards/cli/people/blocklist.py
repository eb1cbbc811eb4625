"""`referrals blocklist`: whom the installation trusts no more. Only marks are kept; nobody can be read in them."""

from datetime import datetime
from typing import Annotated, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, write_list
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.instants import day

commands = typer.Typer(
    help="Identities, devices and payment instruments that are no longer trusted.", no_args_is_help=True
)

Emails = Annotated[list[str], typer.Option("--email", metavar="ADDRESS", help="May be repeated, as each of these.")]
Phones = Annotated[list[str], typer.Option("--phone", metavar="NUMBER")]
Customers = Annotated[list[str], typer.Option("--customer", metavar="ID", help="A customer id of yours.")]
Devices = Annotated[list[str], typer.Option("--device", metavar="ID", help="As facts tell it.")]
Fingerprints = Annotated[
    list[str], typer.Option("--fingerprint", metavar="VALUE", help="A payment instrument, as facts tell it.")
]
Marks = Annotated[list[str], typer.Option("--mark", metavar="MARK", help="As `referrals blocklist list` prints it.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for whoever asks later; names nobody.")]

_PATH: Final = "/v1/blocklist"
_IDENTITIES: Final = ("email", "phone", "customer", "device", "fingerprint")
#: What the API's fields are called here.
_OPTIONS: Final = {name: f"--{name}" for name in (*_IDENTITIES, "why", "mark")}


@commands.command()
def add(
    why: Why,
    emails: Emails = [],  # noqa: B006 (typer reads the defaults, nothing writes to them)
    phones: Phones = [],  # noqa: B006
    customers: Customers = [],  # noqa: B006
    devices: Devices = [],  # noqa: B006
    fingerprints: Fingerprints = [],  # noqa: B006
    user: As = None,
    data: Data = None,
) -> None:
    """Block whoever shows one of these: the signal `blocklisted` then fires, with its weight in the terms."""
    told = _told(emails, phones, customers, devices, fingerprints)
    if not told:
        raise _nobody()
    with api_of(data, user, Purpose.ADMINISTER) as api:
        done = api.post(_PATH, {**told, "why": why}, options=_OPTIONS)
    before = f", {done['before']} blocked before" if done["before"] else ""
    say(f"{done['blocked']} blocked{before}")


@commands.command()
def remove(
    emails: Emails = [],  # noqa: B006
    phones: Phones = [],  # noqa: B006
    customers: Customers = [],  # noqa: B006
    devices: Devices = [],  # noqa: B006
    fingerprints: Fingerprints = [],  # noqa: B006
    marks: Marks = [],  # noqa: B006
    user: As = None,
    data: Data = None,
) -> None:
    """Trust them again. What was judged meanwhile is judged anew only when its facts change."""
    told = _told(emails, phones, customers, devices, fingerprints)
    if not told and not marks:
        raise _nobody()
    with api_of(data, user, Purpose.ADMINISTER) as api:
        done = api.post(f"{_PATH}/removals", {**told, "mark": marks}, options=_OPTIONS)
    say(f"{done['trusted']} trusted again")


_COLUMNS: Final = (
    Column("mark", lambda each: each["mark"]),
    Column("why", lambda each: each["why"]),
    Column("blocked", lambda each: day(datetime.fromisoformat(each["blocked_at"])), spare=1),
    Column("by", lambda each: each["blocked_by"], spare=2),
)


@commands.command("list")
def list_(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List what is blocked, newest first, as marks: nothing else is kept."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        write_list(_COLUMNS, api.get(_PATH), form)


def _told(*values: list[str]) -> dict[str, list[str]]:
    return {name: given for name, given in zip(_IDENTITIES, values, strict=True) if given}


def _nobody() -> RequestInvalid:
    return RequestInvalid(f"name at least one of {', '.join(f'--{name}' for name in _IDENTITIES)}")
