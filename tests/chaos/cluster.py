"""A cluster whose parts can be killed: real servers and real worker processes, each ended by its pid and started again.

A part is stopped at a precise point from outside: a lock held in Postgres lets a worker come so far and no further.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from models.migrate import upgrade
from models.session import Database
from referral_rewards.config.stack import with_driver
from referral_rewards.local.embedded import HOST, ensure_database, free_port, prepare_postgres, prepare_temporal
from referral_rewards.local.supervisor import Child, Program
from tests import personal
from tests.installation import PEPPER, Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import set_up


@dataclass
class Cluster:
    """Postgres, Temporal and workers as processes of their own, with an installation to live referrals on."""

    data: Path
    life: Installation
    postgres: Child
    temporal: Child
    database_url: str
    temporal_address: str
    referral: str = ""  # the one that a test is about: `:r` in its statements
    workers: list[Child] = field(default_factory=list)
    further: dict[str, str] = field(default_factory=dict)  # settings of its workers beside these

    async def work(self, role: str = "all") -> Child:
        """One more worker of that role."""
        worker = self.start_worker("-m", "worker", "--role", role, name=f"worker {role}", env=self.further)
        self.workers.append(worker)
        await worker.wait_ready()
        return worker

    def start_worker(self, *command: str, env: Mapping[str, str], name: str = "worker") -> Child:
        """A worker process that begins now; ``env`` are settings of its own."""
        ready = self.data / f"ready-{uuid4().hex}"
        known = {name: value for name, value in os.environ.items() if not name.startswith(("REFERRALS_", "TEMPORAL_"))}
        verify = self.data / "verify.json"
        verify.write_text(json.dumps([self.life.signer.public_entry()]))

        async def polls() -> bool:
            return ready.exists()

        common = {
            "REFERRALS_DATABASE_URL": self.database_url,
            "REFERRALS_PEPPER": PEPPER.hex(),
            "REFERRALS_PERSONAL_KEYS": personal.KEY.hex(),
            "REFERRALS_VERIFY_KEYS": str(verify),
            "REFERRALS_REFERRALS_QUEUE": f"{self.life.queue}-referrals",
            "REFERRALS_PAYOUTS_QUEUE": f"{self.life.queue}-payouts",
            "REFERRALS_RELAY_POLL_SECONDS": "0.05",
            "REFERRALS_READY_FILE": str(ready),
            "TEMPORAL_ADDRESS": self.temporal_address,
        }
        log = self.data / "logs" / "worker.log"
        return Child.start(Program(name, [sys.executable, *command], log, polls, env=known | common | env))

    async def crash(self, child: Child, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """Ends a process at once. PostgreSQL is crashed by SIGQUIT, which takes its own children down with it."""
        child.process.send_signal(with_signal)
        await asyncio.to_thread(child.process.wait)
        self.workers = [each for each in self.workers if each is not child]

    async def rest(self) -> None:
        """Ends whatever workers are left."""
        for worker in list(self.workers):
            await self.crash(worker)

    async def start_temporal(self) -> None:
        self.temporal = Child.start(self.temporal.program)
        await self.temporal.wait_ready()

    async def start_postgres(self) -> None:
        self.postgres = Child.start(self.postgres.program)
        await self.postgres.wait_ready()

    @asynccontextmanager
    async def held(self, statement: str) -> AsyncIterator[AsyncConnection]:
        """Holds the locks that a statement takes, for the length of the block."""
        async with self.life.database.transaction() as connection:
            await connection.execute(text(statement), self._its(statement))
            yield connection

    async def waits_for_a_lock(self) -> bool:
        """Whether some session of this database waits for a lock that another one holds."""
        return bool(
            await self.ask(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )

    async def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query, as tuples."""
        async with self.life.database.transaction() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), self._its(statement))]

    def _its(self, statement: str) -> dict[str, str]:
        return {"r": self.referral} if ":r" in statement else {}


async def until(condition: Callable[[], Awaitable[object]], seconds: float = PATIENCE_SECONDS) -> None:
    """Returns once the condition holds. Raises TimeoutError when it does not within that time."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster(data: Path) -> AsyncIterator[Cluster]:
    """A cluster with terms, an approver and a referrer, and no worker yet."""
    database, port = data / "postgres-data", free_port()
    program, url = prepare_postgres(database, free_port())
    postgres, temporal = Child.start(program), Child.start(prepare_temporal(data, port, free_port()))
    children = [postgres, temporal]
    try:
        await asyncio.gather(*(child.wait_ready() for child in children))
        await ensure_database(url)
        await asyncio.to_thread(upgrade, with_driver(url))
        client = await Client.connect(f"{HOST}:{port}", data_converter=pydantic_data_converter)
        life = Installation(
            Database.at(with_driver(url), pool_size=10),
            WorkflowEnvironment.from_client(client),
            queue=f"q{uuid4().hex[:8]}",
        )
        await set_up(life)
        running = Cluster(data, life, postgres, temporal, url, f"{HOST}:{port}")
        children = []
        try:
            yield running
        finally:
            await asyncio.gather(*(worker.stop() for worker in running.workers))
            await life.database.close()
            children = [running.postgres, running.temporal]
    finally:
        await asyncio.gather(*(child.stop() for child in children))
