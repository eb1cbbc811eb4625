"""`referrals up|api|worker|replay|site|db`: what runs, and what it runs on."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from referral_rewards import interrupts
from referral_rewards.cli import administration
from referral_rewards.cli.console import Data, say
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid

if TYPE_CHECKING:  # loaded by the commands that need them
    from models.migrate import Roles
    from referral_rewards.config.settings import Settings

db = typer.Typer(help="The database.", no_args_is_help=True)

Folder = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar=f"{PREFIX}DATA", help="Where everything is kept.")
]
Ephemeral = Annotated[bool, typer.Option("--ephemeral", help="In a new folder that is deleted at the end.")]
PortBase = Annotated[
    int | None, typer.Option("--port-base", metavar="N", min=1024, max=65525, help="First of eleven ports; 8700.")
]
Example = Annotated[
    bool, typer.Option("--example/--no-example", help="Load the example program and referrals, and pay by sandboxes.")
]
Sample = Annotated[
    int, typer.Option("--sample", metavar="N", min=0, help="Most open and most closed runs of each type; 0 for all.")
]
Recent = Annotated[int, typer.Option("--recent", metavar="DAYS", min=0, help="Since when closed ones closed.")]
Histories = Annotated[
    Path | None, typer.Option("--from", metavar="DIR", help="Read histories from its *.json files, not from Temporal.")
]
Saved = Annotated[Path | None, typer.Option("--save", metavar="DIR", help="Write each history there.")]
WorkerRole = Annotated[
    Literal["all", "referrals", "payouts", "payouts-stripe", "payouts-paypal", "payouts-tremendous"],
    typer.Option("--role", help="Which task queues."),
]

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
    """Run workers: `referrals` without provider secrets, `payouts` that may move money. `payouts-PROVIDER` calls one
    provider and holds its secrets alone; `payouts` then needs none."""
    _become("worker", "--role", role, data=data)


def replay(
    sample: Sample = 200, recent: Recent = 7, histories: Histories = None, save: Saved = None, data: Data = None
) -> None:
    """Replay runs of production with this build, and end with 1 if one would break.

    Reads histories of open and recent runs from the Temporal that TEMPORAL_* name. It changes nothing there.
    """
    given = ["--sample", str(sample), "--recent", str(recent)]
    given += ["--from", str(histories)] if histories is not None else []
    given += ["--save", str(save)] if save is not None else []
    _become("worker.replay", *given, data=data)


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
    forget: Annotated[
        str | None, typer.Option("--forget", metavar="CUSTOMER", help="Erase a customer from its own store, and end.")
    ] = None,
    forget_email: Annotated[
        bool, typer.Option("--forget-email", help="Erase whoever has an address, asked for or read from the input.")
    ] = False,
) -> None:
    """Run the front door, where customers enrol, invite friends and see their rewards.

    It holds no password of the database and no key: it tells facts through the API, with a token of its own.
    """
    if link is not None and program is None:
        raise RequestInvalid("name the program of the link", "--program")
    given = {"--host": host, "--port": port, "--link": link, "--program": program, "--days": days, "--forget": forget}
    said = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    said += ["--forget-email"] if forget_email else []
    _become("referral_rewards.site", *said, data=None)


@db.command()
def upgrade(data: Data = None) -> None:
    """Bring the database to the newest schema, and grant the roles that are named what they need."""
    from models import migrate  # here, as it takes a second to load

    chosen = administration.settings(data)
    roles = _roles(chosen)
    migrate.upgrade(chosen.database_url, roles)
    say("the database has the newest schema" + ("" if roles is None else f"; granted {roles.api} and {roles.worker}"))


@db.command()
def grants(data: Data = None) -> None:
    """Print the SQL that grants the roles what they need, for an administrator who applies it. Asks no database."""
    from models.migrate import statements

    roles = _roles(administration.settings(data, database_url=_ANY_DATABASE))
    if roles is None:
        raise BadInput([Problem(f"{PREFIX}DATABASE_API_ROLE", _NO_ROLES)])
    say(statements(roles).rstrip())


def _roles(chosen: "Settings") -> "Roles | None":
    """The database's roles by the settings; None if they name none.

    Raises:
        BadInput: if they name only one, or one for both.
    """
    from models.migrate import Roles

    api_role, worker_role = chosen.database_api_role, chosen.database_worker_role
    if api_role is None and worker_role is None:
        return None
    if api_role is None or worker_role is None:
        lacks = "API" if api_role is None else "WORKER"
        raise BadInput([Problem(f"{PREFIX}DATABASE_{lacks}_ROLE", "not set, but the other role is: both are needed")])
    if api_role == worker_role:
        raise BadInput([Problem(f"{PREFIX}DATABASE_WORKER_ROLE", f"{worker_role} is the API's: name another role")])
    return Roles(api_role, worker_role)


#: What has to be named and is not asked.
_ANY_DATABASE: Final = "postgresql://"
_NO_ROLES: Final = f"not set; name the role of the API, and that of workers as {PREFIX}DATABASE_WORKER_ROLE"


def _become(module: str, *arguments: str, data: Path | None) -> None:
    """Replaces this process by that module's, so that signals reach it as they are."""
    if data is not None:
        os.environ[f"{PREFIX}DATA"] = str(data)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 (no shell is wanted)


def _say_at_once(line: str) -> None:
    say(line)
    sys.stdout.flush()
