"""Watches from the API, even while no worker runs: the register's mark, which tells a restore, and the namespace."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.service import RPCError

from models.session import UNREACHABLE, Database
from referral_rewards.namespace import LOOK_SECONDS, Namespace
from referral_rewards.register.reconciliations import after_restore
from referral_rewards.register.restores import halting
from referral_rewards.temporal import REGISTER_MARK, kept_mark

_log = structlog.get_logger("api")

_EVERY_SECONDS: Final = 60.0
#: Who found a restore, in the register and the audit log.
FINDER: Final = "the register's mark"


async def watch(database: Database, connect: Callable[[], Awaitable[Client]]) -> None:
    """Look at the mark every minute until cancelled. An outage of Temporal or of the database is waited out."""
    client: Client | None = None
    while True:
        try:
            client = client or await connect()
            await look(database, client)
        except (RuntimeError, RPCError, *UNREACHABLE) as error:
            _log.warning("mark_not_read", why=type(error).__name__)
        await asyncio.sleep(_EVERY_SECONDS)


async def watch_namespace(
    namespace: Namespace, connect: Callable[[], Awaitable[Client]], *, every_seconds: float = LOOK_SECONDS
) -> None:
    """Look at what the namespace lacks until cancelled. While Temporal does not answer, what was found last stands."""
    client: Client | None = None
    while True:
        try:
            client = client or await connect()
            await namespace.look(client)
        except (RuntimeError, RPCError) as error:
            _log.warning("namespace_not_read", why=type(error).__name__)
        await asyncio.sleep(every_seconds)


async def look(database: Database, client: Client, name: str = REGISTER_MARK) -> bool:
    """Halt every outside rail if the register lacks something of its mark; return whether it does."""
    kept = await kept_mark(client, name)
    if kept is None:
        return False
    now = datetime.now(UTC)

    async def find(connection: AsyncConnection) -> datetime | None:
        restored_to = await halting.find(connection, kept, now, by=FINDER)
        if restored_to is not None:
            await after_restore.reconcile(connection, restored_to, now, by=FINDER)
        return restored_to

    restored_to = await database.write(find)
    if restored_to is not None:
        _log.error("register_restored", restored_to=restored_to.isoformat(), rails="halted")
    return restored_to is not None
