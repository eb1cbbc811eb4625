"""A whole installation in a test: real Postgres, real Temporal, workers, relay, and hands to tell facts and decide."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkerDeploymentConfig

from models.session import Database
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outbox, programs
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision, NewDecision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.sources.http import RegisterSource
from referral_rewards.sources.port import Source
from referral_rewards.temporal import cycle_workflow_id, payout_workflow_id, workflow_id
from tests.patience import PATIENCE_SECONDS
from tests.roles import Register
from worker.build import payouts_worker, referrals_worker
from worker.relay import Relay

PEPPER = b"a pepper for tests only"
PROGRAM = Path(__file__).parent.parent / "programs" / "acme-friends.yaml"
#: Statuses that lead on by themselves, within moments.
_PASSING = frozenset({None, "in_review", "approved", "paying"})

_REFERRALS = text("SELECT id FROM referral")
_PAYOUTS = text("SELECT id FROM payout")
_CYCLES = text("SELECT program, due_on FROM payout_cycle")


@dataclass
class Installation:
    """One database and one Temporal server, with the means to live a referral through."""

    database: Database
    environment: WorkflowEnvironment
    queue: str
    signer: Signer = field(default_factory=Signer.generate)
    intake: Intake = field(default_factory=lambda: Intake(PEPPER))
    sources: dict[str, Source] = field(default_factory=lambda: {"register": RegisterSource()})
    ids: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def serving(self) -> Database:
        """The database as the workers have it."""
        return self.database.worker if isinstance(self.database, Register) else self.database

    @property
    def keys(self) -> KeyRing:
        return KeyRing.of([self.signer.public_entry()])

    @property
    def relay(self) -> Relay:
        return Relay(
            self.serving,
            self.environment.client,
            referrals_queue=f"{self.queue}-referrals",
            payouts_queue=f"{self.queue}-payouts",
            pause=0.05,
        )

    @asynccontextmanager
    async def workers(self) -> AsyncIterator[None]:
        """Workers of both roles for the length of the block."""
        async with self.referrals_worker(), self.payouts_worker():
            yield

    def referrals_worker(self, keys: KeyRing | None = None, version: WorkerDeploymentConfig | None = None) -> Worker:
        queue, client = f"{self.queue}-referrals", self.environment.client
        common = (self.serving, keys or self.keys, self.intake, self.sources)
        return referrals_worker(client, queue, *common, deployment=version)

    def payouts_worker(
        self,
        keys: KeyRing | None = None,
        client: Client | None = None,
        version: WorkerDeploymentConfig | None = None,
    ) -> Worker:
        queue, client = f"{self.queue}-payouts", client or self.environment.client
        common = (self.serving, keys or self.keys, self.intake, self.sources)
        return payouts_worker(client, queue, *common, deployment=version)

    async def publish(self, source: str | None = None, at: datetime | None = None) -> None:
        async with self.database.transaction() as connection:
            await programs.publish(connection, source or PROGRAM.read_text(), by="tester", at=at or datetime.now(UTC))

    async def user(self, name: str, *roles: Role) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(
                text("INSERT INTO app_user (name, roles, created_at) VALUES (:name, :roles, now())"),
                {"name": name, "roles": list(roles)},
            )

    async def record(
        self, type_: str, occurred_at: datetime, data: dict[str, Any], received_at: datetime | None = None
    ) -> None:
        """Takes one fact in, as its sender's POST would, and leaves its wake-up in the outbox."""
        event = self.event(type_, occurred_at, data)
        async with self.database.transaction() as connection:
            await self.intake.record(connection, [event], received_at=received_at or occurred_at)

    def event(self, type_: str, occurred_at: datetime, data: dict[str, Any]) -> Event:
        """A fact that nobody has told yet."""
        return parse_event(
            {
                "specversion": "1.0",
                "id": f"t{next(self.ids)}",
                "source": "test",
                "type": type_,
                "time": occurred_at.isoformat(),
                "data": data,
            }
        )

    async def tell(self, type_: str, occurred_at: datetime, **data: Any) -> None:
        """Records a fact and delivers its wake-up."""
        await self.record(type_, occurred_at, data)
        await self.relay.deliver()

    async def row(self, referral: str) -> Any:
        async with self.database.transaction() as connection:
            return await referrals.row(connection, referral)

    async def decide(
        self,
        referral: str,
        kind: DecisionKind = DecisionKind.APPROVE,
        *,
        user: str = "olga",
        roles: Sequence[Role] = (Role.PROGRAM_OWNER,),
        at: datetime | None = None,
        signer: Signer | None = None,
        digest: str | None = None,
        **details: Any,
    ) -> Decision:
        """Records a decision as the API does once it has asked every rule, and leaves its wake-up in the outbox."""
        async with self.database.transaction() as connection:
            row = await referrals.hold(connection, referral)
            claim, _ = await claims.current(connection, row.claim_id)
            decision = await decisions.append(
                connection,
                NewDecision(
                    referral=referral,
                    claim_id=row.claim_id,
                    digest=digest or claim.digest,
                    kind=kind,
                    user=user,
                    roles=frozenset(roles),
                    reason="terms_met",
                    note="looked at it",
                    details=details or None,
                    decided_at=at or datetime.now(UTC),
                ),
                signer or self.signer,
            )
            await outbox.enqueue(connection, WakeupKind.DECISION, referral, decision.id)
        return decision

    @asynccontextmanager
    async def ending(self) -> AsyncIterator[None]:
        """Ends every run that it leaves open: the tests of a session share one Temporal server, and call their
        referrals alike. A run that stays takes the signals of the next of its name, and no worker serves it."""
        try:
            yield
        finally:
            async with self.database.transaction() as connection:
                ids = [workflow_id(row.id) for row in await connection.execute(_REFERRALS)]
                ids += [payout_workflow_id(str(row.id)) for row in await connection.execute(_PAYOUTS)]
                ids += [cycle_workflow_id(row.program, row.due_on) for row in await connection.execute(_CYCLES)]
            for each in ids:
                with suppress(RPCError):
                    await self.environment.client.get_workflow_handle(each).terminate()

    async def settled(self, referral: str, *, among: frozenset[str | None] | None = None) -> Any:
        """The referral's row once every wake-up is delivered and it waits for nothing but time or a person."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                # In this order: what came with where it stands is in the outbox by then.
                row = await self.row(referral)
                delivered = await self.relay.deliver()
                current = row is not None and row.judged_version == row.facts_version
                if not delivered and current and (row.status in among if among else row.status not in _PASSING):
                    return row
                await asyncio.sleep(0.05)

    async def pass_time(self, referral: str, duration: timedelta) -> None:
        """Lets that much of the workflow's time go by, alarms included."""
        await self.environment.fast_forward(self.handle(referral), duration)

    def handle(self, referral: str) -> WorkflowHandle[Any, Any]:
        return self.environment.client.get_workflow_handle(workflow_id(referral))

    async def money(self) -> dict[str, int]:
        """Every account of the books that is not at zero, in minor units."""
        async with self.database.transaction() as connection:
            rows = await connection.execute(
                text("SELECT account, sum(amount_minor) AS total FROM posting GROUP BY 1 HAVING sum(amount_minor) <> 0")
            )
            return {row.account: int(row.total) for row in rows}


@asynccontextmanager
async def installation(database_url: str, environment: WorkflowEnvironment) -> AsyncIterator[Installation]:
    """An installation of a test's own, on the session's servers."""
    database = Register.at(database_url)
    life = Installation(database, environment, queue=f"q{uuid4().hex[:8]}")
    try:
        async with life.ending():
            yield life
    finally:
        await database.close()
