"""`referrals up`: the whole system on one machine, run by one process, ready in seconds.

PostgreSQL and Temporal start together. Then the schema is migrated; then, on request, sandboxes of the providers start;
then the API and both workers together. When all answer, DATA/stack.json holds their URLs, by which other commands find
the stack. Ctrl-C or SIGTERM stops workers and API first, then Temporal, then PostgreSQL; a second one kills everything
at once.

If the environment names a database or a Temporal server, it is used instead of the embedded one.
"""

import asyncio
import importlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.envconfig import ClientConfig

from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import PREFIX, StackInfo, stack_file, with_driver
from referral_rewards.domain.errors import LocalStackError
from referral_rewards.interrupts import INTERRUPTED
from referral_rewards.local import children as sandbox
from referral_rewards.local import event_sources, front_door
from referral_rewards.local.children import Secrets, children, environment
from referral_rewards.local.embedded import (
    HOST,
    ensure_database,
    ensure_roles,
    knows_search_attributes,
    port_is_free,
    postgres,
    prepare_postgres,
    prepare_temporal,
    servers,
)
from referral_rewards.local.greeting import Ports, for_customers, greeting
from referral_rewards.local.supervisor import LOCK, Say, Supervisor, data_lock, end_recorded
from referral_rewards.search_attributes import TYPE_NAMES, to_add

__all__ = ["PORT_BASE", "Bootstrap", "Ports", "postgres", "servers", "stack", "up"]

PORT_BASE = 8700

Bootstrap = Callable[[Settings], Awaitable[None]]
"""Something to do once everything answers and before the stack counts as ready, like making the example users."""


async def up(
    data: Path = Path(".local"),
    *,
    ephemeral: bool = False,
    port_base: int = PORT_BASE,
    bootstrap: Sequence[Bootstrap] = (),
    sandboxes: bool = False,
    site: bool = False,
    say: Say = print,
) -> int:
    """Run the stack until SIGINT or SIGTERM, and return the exit code for the signal that came.

    Raises:
        LocalStackError: if it cannot start.
    """
    began = time.monotonic()
    with _folder(data, ephemeral) as folder, suppress(asyncio.CancelledError), _signals_stop() as stopping:
        kill_all = stopping.kill_all
        ports = Ports.at(port_base)
        running = stack(folder, ports, bootstrap=bootstrap, sandboxes=sandboxes, site=site, say=say, kill_all=kill_all)
        async with running as (supervisor, info):
            ready = await front_door.ready_page(folder, ports.site) if site else None
            say(greeting(info, ports, folder, time.monotonic() - began, ephemeral))
            if ready is not None:
                say(for_customers(folder, ports, ready, _shop(ports, sandboxes=sandboxes)))
            try:
                await supervisor.watch()
            finally:
                say("stopping: workers and API, then Temporal, then PostgreSQL")
    say("stopped")
    return INTERRUPTED if stopping.first is signal.SIGINT else 0


@asynccontextmanager
async def stack(
    data: Path,
    ports: Ports,
    *,
    bootstrap: Sequence[Bootstrap] = (),
    sandboxes: bool = False,
    site: bool = False,
    say: Say = print,
    kill_all: list[Callable[[], None]] | None = None,
) -> AsyncIterator[tuple[Supervisor, StackInfo]]:
    """Run the whole stack on `data` for the length of the block. A function that kills every process at once is added
    to `kill_all`.

    With `sandboxes`, there is a sandbox for each provider that the environment does not configure; with `site`, the
    front door, once `bootstrap` has given it a token.
    """
    missing = [folder for folder in (data, *data.parents) if not folder.exists()]
    with data_lock(data, say), _nothing_left_if_refused(data, missing):
        stack_file(data).unlink(missing_ok=True)
        pids = data / "run" / "pids.json"
        if left := end_recorded(pids):
            say(f"ended {left} processes that the interrupted run left behind")
        supervisor = Supervisor(pids, say)
        if kill_all is not None:
            kill_all.append(supervisor.kill)
        try:
            info, settings = await _start(data, ports, supervisor, say, sandboxes=sandboxes)
            for each in bootstrap:
                await each(settings)
            if site:
                await _open_front_door(data, ports, supervisor, info, _shop(ports, sandboxes=sandboxes), say)
            _publish(data, info)
            yield supervisor, info
        finally:
            stack_file(data).unlink(missing_ok=True)
            await supervisor.stop()


async def _start(
    data: Path, ports: Ports, supervisor: Supervisor, say: Say, *, sandboxes: bool
) -> tuple[StackInfo, Settings]:
    """Start everything in order. Return the stack's URLs and the settings that the API runs with."""
    given: Mapping[str, str] = os.environ
    if sandboxes:
        given = sandbox.connected(os.environ, data, ports.sandboxes)
        sandboxes = given != os.environ
    outside_database = os.environ.get(PREFIX + "DATABASE_URL")
    outside_temporal = ClientConfig.load_client_connect_config()
    _need_ports(
        ports,
        needs_database=not outside_database,
        needs_temporal="target_host" not in outside_temporal,
        needs_sandboxes=sandboxes,
    )
    if "target_host" in outside_temporal and not await knows_search_attributes(outside_temporal):
        raise LocalStackError(
            f"Temporal at {outside_temporal['target_host']} does not answer, or lacks our search attributes; "
            f"{to_add(TYPE_NAMES)}"
        )
    # The schema's code takes a second to import, so import it while the servers start.
    migrate = asyncio.create_task(asyncio.to_thread(importlib.import_module, "models.migrate"))
    starting = []
    if outside_database:
        database_url = outside_database
    else:
        program, database_url = prepare_postgres(data, ports.postgres, say=say)
        starting.append(supervisor.start(program))
    temporal, web_ui = f"{HOST}:{ports.temporal}", f"http://{HOST}:{ports.web_ui}"
    if "target_host" in outside_temporal:
        temporal, web_ui = outside_temporal["target_host"], ""
    else:
        starting.append(supervisor.start(prepare_temporal(data, ports.temporal, ports.web_ui)))
    await asyncio.gather(*starting)
    # A server of one's own has the roles that its administrator made: everything connects by the one URL that is given.
    roles = None if outside_database else await ensure_roles(database_url)
    if roles is not None:
        await ensure_database(database_url)
    await asyncio.to_thread((await migrate).upgrade, with_driver(database_url), roles and roles.names)

    own = (database_url, database_url) if roles is None else (roles.api_url, roles.worker_url)
    info = StackInfo(f"http://{HOST}:{ports.api}", temporal, web_ui, database_url, *own)
    secrets = Secrets.of(data, given)
    common = environment(given, data, info, secrets, embedded_temporal="target_host" not in outside_temporal)
    if sandboxes:
        # Sandboxes start before the API, which reads the root certificate that they create.
        await supervisor.start(sandbox.sandboxes(data, ports.sandboxes, info.api, common))
        say(f"sandboxes in the place of providers: http://{HOST}:{ports.sandboxes}")
    watched = sandbox.Watched(*ports[-5:])
    await supervisor.start(*children(data, ports.api, given, common, info, secrets, watched))
    return info, Settings.load(
        data=data,
        database_url=info.url_for("api"),
        api_url=info.api,
        pepper=secrets.pepper,
        personal_keys=secrets.personal_keys,
        signing_key=secrets.signing_key,
        verify_keys=secrets.verify_keys,
    )


async def _open_front_door(
    data: Path, ports: Ports, supervisor: Supervisor, info: StackInfo, shop: str | None, say: Say
) -> None:
    """Start the front door, unless its port is taken or it has no programs to show: the rest works without it."""
    opened = front_door.program(data, ports.site, info.api, os.environ, shop)
    if opened is None or not port_is_free(ports.site):
        say(f"no front door: {'its example is not here' if opened is None else f'port {ports.site} is taken'}")
        return
    await supervisor.start(opened)


def _shop(ports: Ports, *, sandboxes: bool) -> str | None:
    """Return the address of the sandbox that sells; None where its webhooks would reach no source."""
    sells = sandboxes and event_sources.hear_the_shop(os.environ)
    return f"http://{HOST}:{ports.sandboxes}/shop" if sells else None


def _need_ports(ports: Ports, *, needs_database: bool, needs_temporal: bool, needs_sandboxes: bool) -> None:
    wanted = [("the API", ports.api), *(("probes and metrics", port) for port in ports[-5:])]
    if needs_temporal:
        wanted += [("the Temporal Web UI", ports.web_ui), ("Temporal", ports.temporal)]
    if needs_database:
        wanted.append(("PostgreSQL", ports.postgres))
    if needs_sandboxes:
        wanted.append(("the sandboxes", ports.sandboxes))
    for who, port in wanted:
        if not port_is_free(port):
            raise LocalStackError(
                f"port {port}, wanted by {who}, is taken, perhaps by another local stack; "
                "choose other ports with --port-base, as `referrals up --example --port-base 9700` does"
            )


def _publish(data: Path, info: StackInfo) -> None:
    """Write stack.json atomically, readable by its owner only, because the database's URL contains its password."""
    fresh = stack_file(data).with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(info._asdict(), indent=2) + "\n")
    fresh.replace(stack_file(data))


@contextmanager
def _folder(data: Path, ephemeral: bool) -> Iterator[Path]:
    """Yield the data folder as an absolute path, so that children find it. An ephemeral one is deleted at the end."""
    if not ephemeral:
        yield data.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="referrals-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _nothing_left_if_refused(data: Path, made: Sequence[Path]) -> Iterator[None]:
    """Remove the folders created for a start that was refused before anything was stored in them."""
    try:
        yield
    except LocalStackError:
        if made and [each.name for each in data.iterdir()] == [LOCK]:
            (data / LOCK).unlink()
            with suppress(OSError):
                for folder in made:
                    folder.rmdir()
        raise


@dataclass
class _Stopping:
    """The first signal that came, and what ends every process at once when a second one does."""

    first: signal.Signals | None = None
    kill_all: list[Callable[[], None]] = field(default_factory=list)


@contextmanager
def _signals_stop() -> Iterator[_Stopping]:
    """SIGINT and SIGTERM cancel the task of this block; a further one calls what `kill_all` holds."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    stopping = _Stopping()

    def on_signal(number: signal.Signals) -> None:
        stopping.first = stopping.first or number
        if task is not None and not task.cancelling():
            task.cancel()
        else:
            for kill in stopping.kill_all:
                kill()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stopping
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
