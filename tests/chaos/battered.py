"""A cluster with which everything goes wrong: two stacks of workers on one database and namespace, wires that are cut,
clocks that differ, a disk that fills, servers that crash and runs that are set back."""

import asyncio
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from temporalio.service import RPCError

from models.session import UNREACHABLE, Database
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.facts.events import Event
from referral_rewards.local.embedded import HOST
from referral_rewards.local.sandbox import stripe
from referral_rewards.local.sandbox.provider import WallClock
from referral_rewards.local.supervisor import Child
from referral_rewards.loopback import served
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.surroundings import A_CLOCK_OF_ITS_OWN, Everybody, little_room
from tests.chaos.wires import Wire, wire
from tests.patience import PATIENCE_SECONDS
from tests.workflows.resets import set_back, tasks_of

#: How far the clock of a process may be ahead, in seconds: by little, which is nothing that anybody has to notice; and
#: by hours, which nobody may be paid twice for.
NEAR: Final = (0.0, 20.0, -20.0, 50.0, -50.0)
FAR: Final = (0.0, 240.0, -240.0, 7200.0, -7200.0, 108000.0, -108000.0)
#: The workers of each stack.
_STACKS: Final = (("a", 2), ("b", 1))
Fault = Callable[[], Awaitable[None]]
#: How often it comes beside the others, what it is called, and the fault.
WeighedFault = tuple[int, str, Fault]


@dataclass(slots=True)
class Manned:
    """A worker with wires of its own to each server."""

    child: Child
    stack: str
    wires: dict[str, Wire]
    ways: AsyncExitStack


@dataclass
class Battered:
    """The cluster, what became of it, and the hands that tell and decide over a wire that frays too."""

    cluster: Cluster
    provider: stripe.Stripe
    ports: dict[str, int]
    clocks: tuple[float, ...]
    hands: Database
    hands_wire: Wire
    disk_fills: bool
    chance: random.Random = field(default_factory=random.Random)
    workers: list[Manned] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    #: What senders told in this schedule, each with when it was received: they can send it again.
    told: list[tuple[Event, datetime]] = field(default_factory=list)

    def note(self, *words: object) -> None:
        """What happened, for whoever reads why a schedule failed."""
        self.log.append(f"{datetime.now(UTC):%H:%M:%S.%f} " + " ".join(map(str, words)))

    # -- workers

    async def man(self, stack: str) -> None:
        """One more worker of a stack, with some clock."""
        ways, ahead = AsyncExitStack(), self.chance.choice(self.clocks)
        wires = {
            name: await ways.enter_async_context(wire(port, random.Random(self.chance.random())))
            for name, port in self.ports.items()
        }
        child = self.cluster.start_worker(
            "-m", "tests.chaos.skewed", str(ahead), "--role", "all",
            env={
                "REFERRALS_DATABASE_URL": _through(self.cluster.database_url, wires["postgres"].port),
                "TEMPORAL_ADDRESS": f"{HOST}:{wires['temporal'].port}",
                "REFERRALS_RAIL_STRIPE_KEY": stripe.KEY,
                "REFERRALS_RAIL_STRIPE_URL": f"http://{HOST}:{wires['provider'].port}",
                "REFERRALS_REFERRALS_QUEUE": f"{self.cluster.life.queue}-{stack}-referrals",
                "REFERRALS_PAYOUTS_QUEUE": f"{self.cluster.life.queue}-{stack}-payouts",
            },
        )  # fmt: skip
        self.note("worker", child.process.pid, "of stack", stack, "is ahead by", ahead)
        self.workers.append(Manned(child, stack, wires, ways))

    async def dismiss(self, worker: Manned) -> None:
        """Kills a worker, unless it has ended."""
        if worker.child.alive:
            worker.child.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.child.process.wait)
        await worker.ways.aclose()
        self.workers.remove(worker)

    async def fully_manned(self) -> None:
        """Starts what a supervisor would: a worker for each that ended, because it found no server when it began."""
        for worker in [each for each in self.workers if not each.child.alive]:
            self.note("worker", worker.child.process.pid, "ended with", worker.child.process.returncode)
            self.did["worker ended by itself"] += 1
            await self.dismiss(worker)
        for stack, wanted in _STACKS:
            for _ in range(wanted - sum(each.stack == stack for each in self.workers)):
                await self.man(stack)

    # -- faults

    def faults(self, of: str) -> list[WeighedFault]:
        """What can go wrong, each with its weight. ``of`` begins the ids of the referrals whose runs are set back."""

        async def reset() -> None:
            await self.set_back(of)

        disk = [(2, "disk full", self.fill_disk)] if self.disk_fills else []
        return [
            (3, "worker killed", self.kill),
            (3, "worker suspended", self.suspend),
            (6, "wire cut", self.cut),
            (6, "wire frayed", self.fray),
            (4, "wire silent", self.hush),
            (3, "intake's wire frayed", self.fray_hands),
            (1, "Postgres crashed", self.crash_postgres),
            (1, "Temporal crashed", self.crash_temporal),
            (2, "database's clock changed", self.skew_database),
            (6, "run set back", reset),
            *disk,
        ]

    async def kill(self) -> None:
        victim = self.chance.choice(self.workers)
        self.note("kill", victim.child.process.pid)
        await self.dismiss(victim)

    async def suspend(self) -> None:
        """A machine that is held up: its process goes on later, as if nothing had been."""
        victim = self.chance.choice(self.workers).child.process
        self.note("suspend", victim.pid)
        victim.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(0.5, 4))
        victim.send_signal(signal.SIGCONT)

    async def cut(self) -> None:
        self._some_wire("cut").cut()

    async def fray(self) -> None:
        await self._frayed(self._some_wire("fray"))

    async def fray_hands(self) -> None:
        await self._frayed(self.hands_wire)

    async def hush(self) -> None:
        which = self._some_wire("hush")
        which.hush()
        await asyncio.sleep(self.chance.uniform(0.5, 4))
        if self.chance.random() < 0.5:
            which.cut()
        which.mend()

    async def crash_postgres(self) -> None:
        self.note("Postgres crashes")
        await self.cluster.crash(self.cluster.postgres, signal.SIGQUIT)
        await asyncio.sleep(self.chance.uniform(0, 1))
        await self.cluster.start_postgres()

    async def crash_temporal(self) -> None:
        self.note("Temporal crashes")
        await self.cluster.crash(self.cluster.temporal)
        await asyncio.sleep(self.chance.uniform(0, 1))
        await self.cluster.start_temporal()

    async def fill_disk(self) -> None:
        """PostgreSQL finds no room for anything. Where that is its log, it ends itself."""
        room = self.cluster.data / "postgres-data"
        left = self.chance.choice([0, 0, 65536, 1_000_000])
        self.note("disk full but for", left)
        with (room / "ballast").open("wb") as ballast, suppress(OSError):
            os.posix_fallocate(ballast.fileno(), 0, max(shutil.disk_usage(room).free - left, 4096))
        await asyncio.sleep(self.chance.uniform(0.5, 4))
        (room / "ballast").unlink()
        await asyncio.sleep(0.5)
        if not self.cluster.postgres.alive:
            self.did["Postgres ended by a full disk"] += 1
            await self.cluster.start_postgres()

    async def skew_database(self) -> None:
        ahead = self.chance.choice(self.clocks)
        self.note("the database is ahead by", ahead)
        await self.ask("UPDATE test_clock.ahead SET seconds = :ahead RETURNING 1", ahead=ahead)

    async def set_back(self, of: str) -> None:
        """Sets the run of a referral, or of what pays it or takes it back, to some workflow task of before."""
        names = await self.ask(_RUNS, of=f"{of}-%")
        client = self.cluster.life.environment.client
        # It may not have begun, or Temporal is just away.
        with suppress(RPCError, RuntimeError, IndexError):
            name = self.chance.choice(names)[0]
            run, tasks = await tasks_of(client, name)
            task = self.chance.choice(tasks)
            self.note("set", name, "back to", task)
            await set_back(client, name, run, task)
            self.did["run set back indeed"] += 1

    def _some_wire(self, fault: str) -> Wire:
        victim = self.chance.choice(self.workers)
        name = self.chance.choice(sorted(victim.wires))
        self.note(fault, "wire to", name, "of", victim.child.process.pid)
        return victim.wires[name]

    async def _frayed(self, which: Wire) -> None:
        which.fray()
        await asyncio.sleep(self.chance.uniform(0.5, 4))
        which.mend()

    def mend(self) -> None:
        """Makes every wire whole."""
        for which in (self.hands_wire, *(each for worker in self.workers for each in worker.wires.values())):
            which.mend()

    # -- the register

    async def ask(self, statement: str, **given: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, as soon as the database answers."""

        async def work() -> list[tuple[Any, ...]]:
            async with self.cluster.life.database.transaction() as connection:
                return [tuple(row) for row in await connection.execute(text(statement), given)]

        return await self._until_answered(work)

    async def through(self, work: Callable[[Any], Awaitable[None]], *, unless: Callable[[], Awaitable[bool]]) -> None:
        """What a sender does with a request to the API: it repeats it until it is answered."""

        async def request() -> None:
            if not await unless():
                async with self.hands.transaction() as connection:
                    await work(connection)

        await self._until_answered(request)

    async def send(self, events: Sequence[tuple[Event, datetime]]) -> None:
        """Has facts taken in that were received at these times, told as often as it takes to be acknowledged."""

        async def record(connection: Any) -> None:
            for event, at in events:
                await self.cluster.life.intake.record(connection, [event], received_at=at)

        async def never() -> bool:
            return False

        await self.through(record, unless=never)

    async def _until_answered(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    return await work()
                except (*UNREACHABLE, DBAPIError):
                    self.did["request repeated"] += 1
                    await asyncio.sleep(0.2)


@asynccontextmanager
async def battered(data: Path, clocks: tuple[float, ...]) -> AsyncIterator[Battered]:
    """Such a cluster, whole as yet, for the length of the block."""
    provider = stripe.Stripe(WallClock())
    provider.accounts = Everybody()
    chance = random.Random("the wires")
    async with served(provider) as url, AsyncExitStack() as running:
        fills = running.enter_context(little_room(data / "postgres-data"))
        its = await running.enter_async_context(cluster(data))
        async with await psycopg.AsyncConnection.connect(its.database_url, autocommit=True) as direct:
            await direct.execute(A_CLOCK_OF_ITS_OWN)
        ports = {
            "postgres": urlsplit(its.database_url).port or 0,
            "temporal": int(its.temporal_address.rpartition(":")[2]),
            "provider": urlsplit(url).port or 0,
        }
        hands_wire = await running.enter_async_context(wire(ports["postgres"], chance))
        hands = Database.at(with_driver(_through(its.database_url, hands_wire.port)))
        running.push_async_callback(hands.close)
        made = Battered(its, provider, ports, clocks, hands, hands_wire, fills)
        try:
            yield made
        finally:
            for each in list(made.workers):
                await made.dismiss(each)


_RUNS: Final = """
SELECT 'referral-' || id FROM referral WHERE id LIKE :of
UNION SELECT 'payout-' || pl.payout_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE l.referral_id LIKE :of
UNION SELECT 'clawback-' || id FROM clawback WHERE referral_id LIKE :of
UNION SELECT 'payout-cycle-' || c.program || '-' || c.due_on FROM payout_cycle c
      WHERE c.program IN (SELECT program FROM referral WHERE id LIKE :of)
ORDER BY 1
"""


def _through(database_url: str, port: int) -> str:
    return database_url.replace(f":{urlsplit(database_url).port}/", f":{port}/")
