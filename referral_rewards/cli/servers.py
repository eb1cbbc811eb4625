"""`referrals up|api|worker|site|db`: what runs, and what it runs on."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from referral_rewards import interrupts
from referral_rewards.cli import administration
from referral_rewards.cli.console import Data, say
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import RequestInvalid

db = typer.Typer(help="The database.", no_args_is_help=True)

Folder = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar=f"{PREFIX}DATA", help="Where everything is kept.")
]
Ephemeral = Annotated[bool, typer.Option("--ephemeral", help="In a new folder that is deleted at the end.")]
PortBase = Annotated[
    int | None, typer.Option("--port-base", metavar="N", min=1024, max=65530, help="First of six ports; 8700.")
]
Example = Annotated[
    bool, typer.Option("--example/--no-example", help="Load the example program and referrals, and pay by sandboxes.")
]
WorkerRole = Annotated[Literal["all", "referrals", "payouts"], typer.Option("--role", help="Which task queues.")]

_DATA: Final = Path(".local")
_NO_SERVERS: Final = (
    "this image has no embedded servers; run `referrals api` and `referrals worker` beside servers of your own"
)


def up(data: Folder = _DATA, ephemeral: Ephemeral = False, port_base: PortBase = None, example: Example = False) -> int:
    """Run everything on this machine: PostgreSQL, Temporal, the API and both workers. Ctrl-C stops it."""
    # Here, as it loads Temporal's client, which few commands need; and a cluster's image has none of it.
    if find_spec("referral_rewards.local") is None:
        raise RequestInvalid(_NO_SERVERS)
    interrupts.end_at_once()
    import asyncio

    from referral_rewards.local import bootstrap
    from referral_rewards.local import stack as local

    interrupts.raise_again()
    steps = bootstrap.steps(example=example)
    base = local.PORT_BASE if port_base is None else port_base
    return asyncio.run(
        local.up(
            data,
            ephemeral=ephemeral,
            port_base=base,
            bootstrap=steps,
            sandboxes=example,
            site=example,
            say=_say_at_once,
        )
    )


def api(data: Data = None) -> None:
    """Run the HTTP API: the only process that is given the signing key."""
    _become("referral_rewards.api", data=data)


def worker(role: WorkerRole = "all", data: Data = None) -> None:
    """Run workers: `referrals` without provider secrets, `payouts` that may move money."""
    _become("worker", "--role", role, data=data)


def site(
    host: Annotated[str | None, typer.Option("--host", help="Address to bind; 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port to bind; 8705.")] = None,
    link: Annotated[
        str | None, typer.Option("--link", metavar="CUSTOMER", help="Print a signed link for a customer, and end.")
    ] = None,
    program: Annotated[
        str | None, typer.Option("--program", metavar="PROGRAM", help="The program of the link.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=31, help="For how long the link is valid.")] = 1,
) -> None:
    """Run the front door, where customers enrol, invite friends and see their rewards.

    It holds no password of the database and no key: it tells facts through the API, with a token of its own.
    """
    if link is not None and program is None:
        raise RequestInvalid("name the program of the link", "--program")
    given = {"--host": host, "--port": port, "--link": link, "--program": program, "--days": days}
    said = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    _become("referral_rewards.site", *said, data=None)


@db.command()
def upgrade(data: Data = None) -> None:
    """Bring the database to the newest schema."""
    from models import migrate  # here, as it takes a second to load

    migrate.upgrade(administration.settings(data).database_url)
    say("the database has the newest schema")


def _become(module: str, *arguments: str, data: Path | None) -> None:
    """Replaces this process by that module's, so that signals reach it as they are."""
    if data is not None:
        os.environ[f"{PREFIX}DATA"] = str(data)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 (no shell is wanted)


def _say_at_once(line: str) -> None:
    say(line)
    sys.stdout.flush()
