"""`referrals sources`: the systems that tell us of events, what theirs would become, and asking for more or again."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import AsJson, Data, say
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import Column, Form, write_list
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.instants import day

commands = typer.Typer(help="Connected sources of events: what came, and reading it again.", no_args_is_help=True)

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="As `referrals sources list` names it.")]
_PATH: Final = "/v1/sources"
_COLUMNS: Final = (
    Column("source", lambda each: each["name"]),
    Column("vendor", lambda each: each["vendor"]),
    Column("mode", lambda each: each["mode"], spare=2),
    Column("events in 30 days", lambda each: _counts(each)),
    Column("not read", lambda each: len(each["stuck"]) or "–"),
    Column("pulled", lambda each: _pulled(each["pull"])),
    Column("tells", lambda each: each["tells"], spare=1),
)

_ASKED: Final = (
    Column("source", lambda each: each["name"]),
    Column("asked as", lambda each: each["asked_as"]),
    Column("answers", lambda each: "yes" if each["answers"] else "no"),
    Column("may be read", lambda each: ", ".join(one["what"] for one in each["rights"] if one["why"] is None) or "–"),
    Column("missing", lambda each: _missing(each)),
)


@commands.command("list")
def list_(as_json: AsJson = False, user: As = None, data: Data = None) -> None:
    """List the connected sources, with what came of each and what could not be read."""
    with api_of(data, user, Purpose.READ) as api:
        found = api.get(_PATH)["sources"]
    write_list(_COLUMNS, found, Form(as_json=as_json))
    if as_json:
        return
    for source in found:
        for event in source["events"]:
            if event["why"] is not None:
                say(f"{source['name']}: {event['type']}, {event['events']} {event['outcome']}: {event['why']}")
        for event in source["stuck"]:
            say(f"{source['name']}: {event['type']} {event['event']}: {event['why']}")
        for line in _of_pull(source["pull"]):
            say(f"{source['name']}: {line}")


@commands.command()
def check(as_json: AsJson = False, user: As = None, data: Data = None) -> None:
    """Ask each source of orders and customers now: does it answer, and what may be read? Ends with 1 if one does not.

    The API asks, with its own keys.
    """
    with api_of(data, user, Purpose.READ) as api:
        found = api.get(f"{_PATH}/asked", timeout=60)["sources"]
    write_list(_ASKED, found, Form(as_json=as_json))
    if any(not each["answers"] for each in found):
        raise typer.Exit(1)


@commands.command("try")
def try_(
    source: Source,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The body of a webhook, as its vendor sends it.")],
    headers: Annotated[
        list[str], typer.Option("--header", metavar="NAME:VALUE", help="A header that the vendor sends; repeatable.")
    ] = [],  # noqa: B006 (typer reads the defaults, nothing writes to them)
    user: As = None,
    data: Data = None,
) -> None:
    """Print the facts that an event would become. Nothing is verified or stored. Ends with 1 if it can't be taken."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise RequestInvalid(f"can't be read: {error.strerror}", str(file)) from None
    with api_of(data, user, Purpose.READ) as api:
        tried = _tried(api, source, body, _headers(headers))
    print(json.dumps(tried["events"], indent=2, ensure_ascii=False))
    if any(each["outcome"] == "unreadable" for each in tried["events"]):
        raise typer.Exit(1)


@commands.command()
def replay(
    source: Source,
    since: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="Only what came since, in UTC if it has no offset.")
    ] = None,
    event: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the event with this id of the vendor's.")
    ] = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Read kept events again with the present mapping: facts told before are repeated, new ones recorded, none is lost.

    Ends with 1 if one can't be taken.
    """
    asked: dict[str, Any] = {"event": event}
    if since is not None:
        asked["since"] = since.isoformat() if since.tzinfo else f"{since.isoformat()}Z"
    events, recorded, repeated, problems = Counter[str](), 0, 0, list[dict[str, Any]]()
    with api_of(data, user, Purpose.ADMINISTER) as api:
        while True:
            page = api.post(f"{_PATH}/{quote(source, safe='')}/replay", asked, options=_OPTIONS, timeout=600)
            events.update(page["events"])
            recorded, repeated = recorded + page["recorded"], repeated + page["repeated"]
            problems += page["problems"]
            if page["next"] is None:
                break
            asked["after"] = page["next"]
    for each in problems:
        say(f"{each['event']}: {each['type']}: {each['why']}")
    read = ", ".join(f"{number} {outcome}" for outcome, number in sorted(events.items())) or "none"
    say(f"events: {read}; facts: {recorded} recorded now, {repeated} on record before")
    if problems:
        raise typer.Exit(1)


@commands.command()
def pull(
    source: Source,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME", help="All that happened since, in UTC if it has no offset; else since the last pull."
        ),
    ] = None,
    user: As = None,
    data: Data = None,
) -> None:
    """Ask a source now for what happened, and back-fill from a date. What is on record already changes nothing.

    A worker asks; `referrals sources list` shows how that goes.
    """
    asked = {} if since is None else {"since": since.isoformat() if since.tzinfo else f"{since.isoformat()}Z"}
    with api_of(data, user, Purpose.ADMINISTER) as api:
        found = api.post(f"{_PATH}/{quote(source, safe='')}/pull", asked, options=_OPTIONS)
    began = "shortly before now" if found["since"] is None else found["since"]
    say(f"{source}: asked for what happened since {began}; `referrals sources list` shows how that goes")


#: What the API's fields are called here.
_OPTIONS: Final = {"since": "--since", "event": "--event"}


def _tried(api: Api, source: str, body: bytes, headers: dict[str, str]) -> Any:
    path = f"{_PATH}/{quote(source, safe='')}/try"
    given = {"content-type": "application/json", **headers}
    return api.answer(api.client.post(path, content=body, headers=given), {})


def _headers(told: list[str]) -> dict[str, str]:
    pairs = [each.partition(":") for each in told]
    if wrong := [name for name, colon, _ in pairs if not colon or not name.strip()]:
        raise RequestInvalid(f"{wrong[0]!r} has no colon; write NAME:VALUE", "--header")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _missing(source: dict[str, Any]) -> str:
    """Return what may not be read, and why; of several with one reason the reason once."""
    whys: dict[str, list[str]] = {}
    for each in source["rights"]:
        if each["why"] is not None:
            whys.setdefault(each["why"], []).append(each["what"])
    return " ".join(f"{', '.join(what)}: {why}" for why, what in whys.items()) or "–"


def _counts(source: dict[str, Any]) -> str:
    counts = Counter[str]()
    for each in source["events"]:
        counts[each["outcome"]] += each["events"]
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "–"


def _pulled(pull: dict[str, Any] | None) -> str:
    if pull is None:
        return "–"
    if pull["succeeded_at"] is None:
        return "never"
    return (
        f"{day(datetime.fromisoformat(pull['succeeded_at']))}: {pull['events_new']} new, {pull['events_known']} known"
    )


def _of_pull(pull: dict[str, Any] | None) -> Iterator[str]:
    """Yield what is to be said of a pull beside when it was."""
    if pull is None:
        return
    if pull["under_way"]:
        yield f"is being asked for what happened since {pull['since']}"
    if pull["problem"] is not None:
        yield f"was asked, and {pull['problem']}"
    if pull["forgotten_since"] is not None:
        span = f"{pull['forgotten_since']} to {pull['forgotten_until']}"
        yield f"no pull asked for what happened from {span}, and its vendor does not keep it any more"
