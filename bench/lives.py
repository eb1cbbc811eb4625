"""Runs many of our referrals concurrently, fact by fact, each like Dexter's first referral of Brie."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from temporalio.client import Client

from bench.pace import Pace
from models.session import Database
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outbox, programs
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.decisions.signing import Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.temporal import workflow_id

_POLL_SECONDS: Final = 0.25
#: How exactly the time of one payment is measured.
_LOOK_SECONDS: Final = 0.02
#: Facts of a back-fill that are taken in together.
_BATCH: Final = 500
_PATIENCE_SECONDS: Final = 120.0
_SLOW: Final = Pace(expiry=3600.0, offer=3600.0, return_=3600.0, watch=3600.0, pause=0.0)
#: How many friends each referrer invites.
_FRIENDS: Final = 8

TERMS: Final = """
program: {program}
name: Seconds for days
effective_from: 2026-01-01T00:00:00Z
timezone: UTC
currency: USD
periods:
  expiry: {{email: PT{pace.expiry:.0f}S}}
  offer: PT{pace.offer:.0f}S
  grace: PT{pace.offer:.0f}S
  return: PT{pace.return_:.0f}S
  arrival_allowance: PT0S
  watch: PT{pace.watch:.0f}S
qualifying: {{kinds: [purchase], minimum: "50.00", new_customers_only: true}}
rewards:
  referrer: {{kind: credit, amount: "25.00"}}
  referee: {{kind: credit, percent: "10", cap: "40.00"}}
approval: {{routes: {{credit: [program_owner]}}}}
payouts: {{timing: immediate, rails: {{credit: account_credit}}}}
"""


class Lives:
    """Sends the facts and decides, as sources and an approver would. The workers do everything in between."""

    def __init__(self, database: Database, client: Client, pepper: bytes, signer: Signer) -> None:
        self._database = database
        self._client = client
        self._intake = Intake(pepper)
        self._signer = signer

    async def prepare(self) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_APPROVER)

    async def lived(self, program: str, names: Sequence[str], pace: Pace) -> None:
        """Run a referral for each name, from the invitation to the end of the watch."""
        await self.brought_before_approvers(program, names, pace)
        for name in names:
            await self._approve(name)
        handles = [self._client.get_workflow_handle(workflow_id(name)) for name in names]
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(handle.result() for handle in handles))
        await self.all_stand(program, len(names), "rewarded")

    async def brought_before_approvers(self, program: str, names: Sequence[str], pace: Pace) -> None:
        """Run a referral for each name, from the invitation until it waits for an approver."""
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            await programs.publish(connection, TERMS.format(program=program, pace=pace), by="bench", at=now)
        for number, name in enumerate(names):
            referrer = {"program": program, "referrer": f"{program}-{number // _FRIENDS}"}
            if number % _FRIENDS == 0:
                enrolled = {**referrer, "customer": f"c-{referrer['referrer']}", "email": f"{name}@example.org"}
                await self._tell(name, "referrer.enrolled", enrolled, ago=timedelta(days=1))
            invited = {"channel": "email", "referee": {"email": f"{name}@example.com"}}
            await self._tell(name, "referral.sent", {"referral": name, **referrer, **invited})
        await self.all_stand(program, len(names), "invited")
        for name in names:
            await self._tell(name, "referral.claimed", {"referral": name, "referee": _person(name), "consent": True})
        await self.all_stand(program, len(names), "claimed")
        await asyncio.sleep(pace.expiry)
        for name in names:
            bought = {"order": f"o-{name}", "kind": "purchase", "amount": "80.00", "currency": "USD"}
            told = {**bought, "customer": _person(name), "new_customer": True}
            await self._tell(name, "conversion.recorded", told)
        await self.all_stand(program, len(names), "awaiting_approval")

    async def approved_and_paid(self, name: str) -> float:
        """Approve the referral, and return the seconds until its rewards are paid."""
        began = time.perf_counter()
        await self._approve(name)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while await self._status(name) != "rewarded":  # noqa: ASYNC110  (no event tells of it)
                await asyncio.sleep(_LOOK_SECONDS)
        return time.perf_counter() - began

    async def back_filled(self, program: str, count: int, pace: Pace = _SLOW) -> datetime:
        """Tell so many invitations of a program, as fast as they are taken in. All were sent at one instant; return
        when they end."""
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            await programs.publish(connection, TERMS.format(program=program, pace=pace), by="bench", at=now)
        for first in range(0, count, _BATCH):
            told = [self._invitation(program, number, now) for number in range(first, min(first + _BATCH, count))]
            async with self._database.transaction() as connection:
                await self._intake.record(connection, told, received_at=now)
        return now + timedelta(seconds=pace.expiry)

    async def until(self, moment: datetime) -> None:
        """Wait until then.

        Raises:
            RuntimeError: if it is over already.
        """
        left = (moment - datetime.now(UTC)).total_seconds()
        if left < 0:
            raise RuntimeError(f"the deadline passed {-left:.0f} s before all invitations were judged")
        await asyncio.sleep(left)

    async def unjudged(self, program: str) -> int:
        """Return how many referrals of the program were never judged."""
        async with self._database.reading() as connection:
            return int((await connection.execute(_UNJUDGED, {"program": program})).scalar_one())

    async def until_some_are_unjudged(self, program: str) -> None:
        """Wait until a back-fill has begun to be taken in."""
        while not await self.unjudged(program):  # noqa: ASYNC110  (no event tells of it)
            await asyncio.sleep(_LOOK_SECONDS)

    def _invitation(self, program: str, number: int, now: datetime) -> Event:
        name = f"{program}-{number}"
        data = {"referral": name, "program": program, "referrer": f"{program}-{number % 100}", "channel": "email"}
        return parse_event(
            {
                "specversion": "1.0",
                "id": name,
                "source": "bench",
                "type": "referral.sent",
                "time": now.isoformat(),
                "data": {**data, "referee": {"email": f"{name}@example.com"}},
            }
        )

    async def _status(self, name: str) -> str | None:
        async with self._database.reading() as connection:
            found = await connection.execute(text("SELECT status FROM referral WHERE id = :name"), {"name": name})
            return found.scalar_one()

    async def _tell(self, name: str, kind: str, data: dict[str, Any], *, ago: timedelta = timedelta(0)) -> None:
        now = datetime.now(UTC)
        document = {"specversion": "1.0", "id": f"{name}-{kind}", "source": "bench", "type": kind, "data": data}
        event = parse_event({**document, "time": (now - ago).isoformat()})
        async with self._database.transaction() as connection:
            await self._intake.record(connection, [event], received_at=now)

    async def _approve(self, name: str) -> None:
        """Record the decision as the API does."""
        async with self._database.transaction() as connection:
            row = await referrals.hold(connection, name)
            assert row is not None
            claim, _ = await claims.current(connection, row.claim_id)
            decision = await decisions.append(
                connection,
                NewDecision(
                    referral=name,
                    claim_id=row.claim_id,
                    digest=claim.digest,
                    kind=DecisionKind.APPROVE,
                    user="olga",
                    roles=frozenset({Role.PROGRAM_OWNER}),
                    reason="terms_met",
                    note="measured",
                    decided_at=datetime.now(UTC),
                ),
                self._signer,
            )
            await outbox.enqueue(connection, WakeupKind.DECISION, name, decision.id)

    async def all_stand(self, program: str, count: int, status: str, patience: float = _PATIENCE_SECONDS) -> None:
        """Wait until all the program's referrals have a status, judged on all their facts.

        Raises:
            RuntimeError: if they do not in time, because something else happened.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            async with self._database.transaction() as connection:
                found = (await connection.execute(_STANDING, {"program": program, "status": status})).scalar_one()
            if found == count:
                return
            if loop.time() > until:
                raise RuntimeError(f"only {found} of {count} referrals came to be {status}")
            await asyncio.sleep(_POLL_SECONDS)


def _person(name: str) -> dict[str, str]:
    return {"customer": f"c-{name}", "email": f"{name}@example.com"}


_APPROVER = text("""
INSERT INTO app_user (name, roles, created_at) VALUES ('olga', ARRAY['program_owner'], now()) ON CONFLICT DO NOTHING
""")
_UNJUDGED = text("SELECT count(*) FROM referral WHERE program = :program AND judged_version < facts_version")
_STANDING = text("""
SELECT count(*) FROM referral WHERE program = :program AND status = :status AND judged_version = facts_version
""")
