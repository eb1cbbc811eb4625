"""A real PgBouncer in front of a PostgreSQL of the tests, which pools transactions."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import make_url

from referral_rewards.local.embedded import HOST, free_port
from tests.chaos.cluster import until
from tests.roles import API, PASSWORD, WORKER

PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
#: Sessions of PostgreSQL that all connections share.
SESSIONS: Final = 4


@asynccontextmanager
async def bounced(url: str) -> AsyncIterator[str]:
    """Yield the URL of the same database behind a PgBouncer, for the length of the block."""
    assert PROGRAM is not None
    named, port = make_url(url), free_port()
    assert named.username is not None
    assert named.password is not None
    # Not below the folder of a test, which other users can't enter.
    folder = Path(tempfile.mkdtemp(prefix="referrals-bouncer-"))
    known = [(named.username, named.password), *((role, PASSWORD) for role in (API, WORKER))]
    (folder / "users.txt").write_text("".join(f'"{user}" "{password}"\n' for user, password in known))
    (folder / "pgbouncer.ini").write_text(
        _CONFIGURATION.format(named=named, host=HOST, port=port, folder=folder, sessions=SESSIONS)
    )
    server = subprocess.Popen(
        [PROGRAM, "--quiet", str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL, user=_owner(folder)
    )
    behind = named.set(host=HOST, port=port).render_as_string(hide_password=False)
    try:
        await until(lambda: _answers(behind), seconds=30)
        yield behind
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait)
        shutil.rmtree(folder)


async def shown(url: str, what: str) -> list[dict[str, Any]]:
    """Return what PgBouncer shows of itself, as `SHOW POOLS` does."""
    console = make_url(url).set(drivername="postgresql", database="pgbouncer").render_as_string(hide_password=False)
    connection = await psycopg.AsyncConnection.connect(
        console, autocommit=True, row_factory=psycopg.rows.dict_row, cursor_factory=psycopg.AsyncClientCursor
    )
    async with connection:
        return await (await connection.execute(f"SHOW {what}".encode())).fetchall()


async def _answers(url: str) -> bool:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        await (await psycopg.AsyncConnection.connect(plain, connect_timeout=5)).close()
    except psycopg.OperationalError:
        return False
    return True


def _owner(folder: Path) -> str | None:
    """Give the folder to the user that the tests' PostgreSQL runs as, if we are root: PgBouncer refuses to be."""
    if os.geteuid() != 0:
        return None
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "pgserver")
    return "pgserver"


_CONFIGURATION: Final = """
[databases]
* = host={named.host} port={named.port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
admin_users = {named.username}
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
"""
