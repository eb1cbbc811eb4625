"""Scenes that several proofs begin with: a referral before its approver, and half an installation at work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from referral_rewards.register.claims import reservations
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.temporal import payout_workflow_id
from tests.installation import Installation, installation
from tests.patience import PATIENCE_SECONDS
from workflows.payout import Payout


@asynccontextmanager
async def scene(
    database_url: str, environment: WorkflowEnvironment, program: str | None = None
) -> AsyncIterator[Installation]:
    """An installation with terms, an approver and a referrer."""
    async with installation(database_url, environment) as life:
        await set_up(life, program)
        yield life


def books(*referrals: str) -> dict[str, int]:
    """The books once exactly these referrals, each of a purchase of 80.00, were rewarded once by the example terms."""
    shared = {"expense:acme-friends": 3300 * len(referrals), "credit:dexter": -2500 * len(referrals)}
    return shared | {f"credit:c-{each}": -800 for each in referrals}


async def set_up(life: Installation, program: str | None = None) -> None:
    """Terms, an approver and a referrer."""
    await life.publish(program)
    await life.user("olga")
    await life.record(
        "referrer.enrolled",
        days_ago(300),
        {"referrer": "dexter", "program": "acme-friends", "customer": "c-dexter", "email": "dexter@example.com"},
    )


async def lived_until_review(life: Installation, referral: str, *, order: str | None = None) -> None:
    """Records facts of the past by which the referral's return period is over; leaves the wake-ups undelivered."""
    referee = {"customer": f"c-{referral}", "email": f"{referral}@example.com"}
    terms = {"referrer": "dexter", "program": "acme-friends"}
    sent = {"referral": referral, **terms, "channel": "email", "referee": referee}
    facts = [
        ("referral.sent", days_ago(60), sent),
        ("referral.claimed", days_ago(50), {"referral": referral, "referee": referee, "consent": True}),
        ("conversion.recorded", days_ago(40), purchase(referral, order or f"o-{referral}")),
    ]
    # At once: a worker that saw the first alone would find an invitation that ran out, and close the referral.
    async with life.database.transaction() as connection:
        for type_, occurred_at, data in facts:
            await life.intake.record(connection, [life.event(type_, occurred_at, data)], received_at=occurred_at)


async def before_its_approver(life: Installation, referral: str) -> Any:
    """A referral that waits for a decision; its row. A worker for referrals must be running."""
    await lived_until_review(life, referral)
    return await life.settled(referral, among=frozenset({"awaiting_approval"}))


async def approved_but_unsent(life: Installation, *referrals: str) -> None:
    """Referrals that olga approved while no worker for payouts ran; their payouts wait in the register."""
    async with referrals_at_work(life):
        for referral in referrals:
            await before_its_approver(life, referral)
            await life.decide(referral)
            await life.settled(referral, among=frozenset({"approved"}))


def purchase(referral: str, order: str, amount: str = "80.00") -> dict[str, Any]:
    referee = {"customer": f"c-{referral}", "email": f"{referral}@example.com"}
    return {
        "order": order,
        "kind": "purchase",
        "customer": referee,
        "amount": amount,
        "currency": "USD",
        "new_customer": True,
    }


def days_ago(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)


@asynccontextmanager
async def referrals_at_work(life: Installation, keys: KeyRing | None = None) -> AsyncIterator[None]:
    """A worker for referrals alone."""
    async with life.referrals_worker(keys):
        yield


@asynccontextmanager
async def payouts_at_work(life: Installation, keys: KeyRing | None = None) -> AsyncIterator[None]:
    """A worker for payouts alone."""
    async with life.payouts_worker(keys):
        yield


async def pay(life: Installation, payout: UUID | str, *, as_workflow: str | None = None) -> str:
    """Starts a payout's workflow by hand, as anybody with a client can, and gives its result."""
    name = as_workflow or payout_workflow_id(str(payout))
    queue = f"{life.queue}-payouts"
    return await life.environment.client.execute_workflow(
        Payout.run,
        str(payout),
        id=name,
        task_queue=queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def payouts(life: Installation, referral: str) -> dict[str, Any]:
    """The referral's payouts by the role of their leg."""
    async with life.database.transaction() as connection:
        return {row.role: row for row in await reservations.payouts_of(connection, referral)}


async def sql(life: Installation, statement: str, **parameters: Any) -> list[Any]:
    """What somebody with a connection to the database does behind everybody's back."""
    async with life.database.transaction() as connection:
        result = await connection.execute(text(statement), parameters)
        return list(result.all()) if result.returns_rows else []


async def quiet(life: Installation, referral: str) -> Any:
    """The referral's row once its workflow has dealt with everything that it was told."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if not await life.relay.deliver():
                seen = (await life.handle(referral).describe()).raw_description
                at_rest = not seen.HasField("pending_workflow_task") and not seen.pending_activities
                # Once more: what its last step put into the outbox may have come after the look into it.
                if at_rest and not await life.relay.deliver():
                    return await life.row(referral)
            await asyncio.sleep(0.05)


async def status_of(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """What the run says of itself, once it has anything to say. A query, unlike a signal, does not wait for a run that
    is about to be started nor for a worker that is about to ask for work: Temporal refuses it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if status := await handle.query("status"):
                    return status  # type: ignore[no-any-return]
            except RPCError as error:
                if error.status not in {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}:
                    raise
            await asyncio.sleep(0.05)


async def is_open(life: Installation, referral: str) -> bool:
    """Whether a run of the referral's workflow is open."""
    described = await life.handle(referral).describe()
    return described.status is WorkflowExecutionStatus.RUNNING
