"""`referrals blocklist`: whom the installation trusts no more. Only marks are kept; nobody can be read in them."""

import asyncio
import getpass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.console import AsJson, Data, database, say, say_json, settings, table, tables
from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid
from referral_rewards.domain.facts.identity import Marker, id_problem, tells_of_a_person
from referral_rewards.register.claims import blocklist
from referral_rewards.reporting.plain_values import day, plain

commands = typer.Typer(
    help="Identities, devices and payment instruments that are trusted no more.", no_args_is_help=True
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

#: By which field of a fact each option's value is told.
_FIELDS: Final = {
    "--email": "email",
    "--phone": "phone",
    "--customer": "customer",
    "--device": "device",
    "--fingerprint": "payment_fingerprint",
}


@commands.command()
def add(
    why: Why,
    emails: Emails = [],  # noqa: B006 (typer reads the defaults, nothing writes to them)
    phones: Phones = [],  # noqa: B006
    customers: Customers = [],  # noqa: B006
    devices: Devices = [],  # noqa: B006
    fingerprints: Fingerprints = [],  # noqa: B006
    data: Data = None,
) -> None:
    """Block whoever shows one of these. The signal `blocklisted` tells of it, by the weight that the terms give it."""
    if not why.strip():
        raise RequestInvalid("say why, for whoever asks later", "--why")
    if tells_of_a_person(why):
        raise RequestInvalid("looks like an address or a phone number: only marks are kept, say it without", "--why")
    chosen = settings(data)
    marks = _marks(chosen, emails, phones, customers, devices, fingerprints)

    async def work() -> int:
        async with database(chosen) as opened, opened.transaction() as connection:
            return await blocklist.add(connection, marks, why=why.strip(), by=getpass.getuser(), at=datetime.now(UTC))

    added = asyncio.run(work())
    known = len(marks) - added
    say(f"{added} blocked{f', {known} blocked before' if known else ''}")


@commands.command()
def remove(
    emails: Emails = [],  # noqa: B006
    phones: Phones = [],  # noqa: B006
    customers: Customers = [],  # noqa: B006
    devices: Devices = [],  # noqa: B006
    fingerprints: Fingerprints = [],  # noqa: B006
    marks: Marks = [],  # noqa: B006
    data: Data = None,
) -> None:
    """Trust them again. What was judged meanwhile is judged anew only when its facts change."""
    chosen = settings(data)
    named = frozenset(marks)
    if not named or any((emails, phones, customers, devices, fingerprints)):
        named |= _marks(chosen, emails, phones, customers, devices, fingerprints)

    async def work() -> None:
        async with database(chosen) as opened, opened.transaction() as connection:
            await blocklist.remove(connection, named, by=getpass.getuser(), at=datetime.now(UTC))

    asyncio.run(work())
    say(f"{len(named)} trusted again")


@commands.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List what is blocked, newest first: marks, for nothing else is kept."""

    async def work() -> list[Any]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return list(await blocklist.listing(connection))

    rows = asyncio.run(work())
    if as_json:
        say_json([plain(row) for row in rows])
        return
    listed = table("mark", "why", "blocked", "by")
    for row in rows:
        listed.add_row(row.mark, row.why, day(row.blocked_at), row.blocked_by)
    tables().print(listed)


def _marks(chosen: Settings, *values: list[str]) -> frozenset[str]:
    """The marks of what was given.

    Raises:
        BadInput: with every value that has no mark, or if nothing was given.
    """
    told = [(option, value) for option, given in zip(_FIELDS, values, strict=True) for value in given]
    if not told:
        raise RequestInvalid(f"name at least one of {', '.join(_FIELDS)}")
    marker, found = Marker(chosen.pepper_bytes()), set[str]()
    problems = []
    for option, value in told:
        problem = id_problem(value) if option == "--customer" else None
        marks = marker.marks({_FIELDS[option]: value})
        if problem or not marks:
            problems.append(Problem(option, problem or f"{value!r} can't be compared with anybody's"))
        found |= marks
    if problems:
        raise BadInput(problems)
    return frozenset(found)
