"""The relay: delivers wake-ups from the outbox to their workflows, and wakes workflows that are overdue."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from models.session import Database
from referral_rewards import search_attributes
from referral_rewards.register import outbox, overdue
from referral_rewards.register.facts import file_intake
from referral_rewards.register.outbox import Delivery, WakeupKind
from referral_rewards.register.queue import projection as queue
from referral_rewards.register.queue import strays
from referral_rewards.temporal import (
    clawback_workflow_id,
    cycle_workflow_id,
    payout_workflow_id,
    program_workflow_id,
    reconciliation_workflow_id,
    workflow_id,
)
from referral_rewards.tracing import following
from referral_rewards.vendors.access import Pull
from worker.schedules import Schedules
from worker.source_schedules import SourceSchedules
from workflows.clawback import Clawback
from workflows.payout import Payout
from workflows.payout_cycle import PayoutCycle
from workflows.program_life import ProgramLife
from workflows.reconciliation import Reconciliation
from workflows.referral import Referral

_log = structlog.get_logger("relay")

_BATCH: Final = 200
_AT_ONCE: Final = 16
#: How many referrals may be on their way to judgement with news of facts: few more than a worker judges at once. More
#: would only wait in Temporal's queue, in order of arrival, and what people decide would wait behind them.
_UNDER_WAY: Final = 60
#: What takes longer to be judged counts no more: it may be stuck, and must not hold up the others.
_GIVEN_UP_AFTER: Final = 30.0
_SWEEP_EVERY: Final = timedelta(minutes=1)


class NotDelivered(ConnectionError):
    """Temporal did not accept some wake-ups. Each is logged and will be retried."""


class Relay:
    """Delivers by signal-with-start, at least once. Several may run: each takes wake-ups that no other has.

    ``noted`` is told how many workflows a sweep woke. ``pulls``: how often each source is pulled.
    """

    def __init__(
        self,
        database: Database,
        client: Client,
        *,
        referrals_queue: str,
        payouts_queue: str,
        pause: float,
        noted: Callable[[int], None] = lambda woken: None,
        pulls: Mapping[str, Pull] = MappingProxyType({}),
    ) -> None:
        self._database = database
        self._client = client
        self._referrals_queue = referrals_queue
        self._payouts_queue = payouts_queue
        self._pause = pause
        self._noted = noted
        self._schedules = Schedules(database, client, payouts_queue)
        self._pulls = SourceSchedules(client, referrals_queue, pulls)
        self._swept_at = datetime.min.replace(tzinfo=UTC)
        self._under_way: dict[str, float] = {}

    async def turn(self) -> float:
        """Sweep once a minute, deliver, and return the seconds until the next turn. While Temporal or Postgres is down,
        wake-ups stay in the outbox."""
        now = datetime.now(UTC)
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            await self.sweep(now)
        try:
            return 0.0 if await self.deliver() else self._pause
        except NotDelivered:
            return max(self._pause, 1.0)

    async def sweep(self, now: datetime) -> int:
        """Release abandoned batches, and wake whatever should have moved and did not. Return how many were woken.

        Also sets the reminder dates of claims that a migration put into the queue without one.
        """
        woken = await self._database.write(_sweep, now)
        self._noted(woken)
        if woken:
            _log.warning("swept", woken=woken)
        if restored := await self._schedules.restore(now):
            _log.info("schedules_set", programs=restored)
        if changed := await self._pulls.restore():
            _log.info("pulls_set", sources=changed)
        return woken

    async def deliver(self) -> int:
        """Deliver waiting wake-ups, up to a batch. Return how many were delivered.

        Raises:
            NotDelivered: if some could not be delivered. They stay in the outbox.
        """
        claimed, done = await self._database.write(self._deliver_claimed)
        if done < claimed:
            raise NotDelivered("some wake-ups could not be delivered")
        return done

    async def _deliver_claimed(self, connection: AsyncConnection) -> tuple[int, int]:
        """Deliver what no other relay has claimed. Return how many wake-ups it claimed, and how many it delivered.

        It holds their rows meanwhile. If it is repeated, some are delivered twice, which does no harm.
        """
        deliveries = await outbox.claim(connection, _BATCH, await self._room(connection))
        done = await self._send_all(deliveries)
        self._note_under_way(deliveries, frozenset(done))
        await outbox.delivered(connection, done)
        return sum(len(delivery.ids) for delivery in deliveries), len(done)

    async def _room(self, connection: AsyncConnection) -> int:
        """Return for how many more referrals news of facts may be delivered now."""
        since = time.monotonic() - _GIVEN_UP_AFTER
        recent = {referral: at for referral, at in self._under_way.items() if at > since}
        waiting = await outbox.unjudged(connection, recent) if recent else frozenset()
        self._under_way = {referral: at for referral, at in recent.items() if referral in waiting}
        return max(0, _UNDER_WAY - len(self._under_way))

    def _note_under_way(self, deliveries: Sequence[Delivery], done: frozenset[int]) -> None:
        now = time.monotonic()
        for delivery in deliveries:
            if delivery.kind is WakeupKind.FACT and done.issuperset(delivery.ids):
                self._under_way[delivery.target] = now

    async def _send_all(self, deliveries: Sequence[Delivery]) -> list[int]:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def send(delivery: Delivery) -> RPCError | None:
            async with slots:
                try:
                    with following(delivery.trace):
                        await self._deliver(delivery)
                except RPCError as error:
                    return error
                return None

        tried = list(zip(deliveries, await asyncio.gather(*map(send, deliveries)), strict=True))
        _tell_refused([(delivery, error) for delivery, error in tried if error is not None])
        return [each for delivery, error in tried if error is None for each in delivery.ids]

    async def _deliver(self, delivery: Delivery) -> None:
        """Deliver a wake-up. A run that has to be started needs no signal: it begins with what the register holds."""
        if delivery.is_first:
            with suppress(WorkflowAlreadyStartedError):
                return await self._send(delivery, WorkflowIDConflictPolicy.FAIL, signalled=False)
        signalled = delivery.kind not in _ONLY_STARTED
        return await self._send(delivery, WorkflowIDConflictPolicy.USE_EXISTING, signalled=signalled)

    async def _send(self, delivery: Delivery, conflict: WorkflowIDConflictPolicy, *, signalled: bool) -> None:
        subject = str(delivery.subject)
        match delivery.kind:
            case WakeupKind.PAYOUT_DUE | WakeupKind.PAYOUT_OVERDUE:
                await self._client.start_workflow(
                    Payout.run,
                    delivery.target,
                    id=payout_workflow_id(delivery.target),
                    task_queue=self._payouts_queue,
                    id_conflict_policy=conflict,
                    static_summary=f"Reward for referral {delivery.pays}" if delivery.pays else "Rewards paid together",
                    start_signal="news" if signalled else None,
                    start_signal_args=[subject] if signalled else [],
                )
            case WakeupKind.CLAWBACK_DUE:
                await self._client.start_workflow(
                    Clawback.run,
                    delivery.target,
                    id=clawback_workflow_id(delivery.target),
                    task_queue=self._payouts_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    static_summary="A reward that is taken back",
                    start_signal="news",
                    start_signal_args=[subject],
                )
            case WakeupKind.CYCLE_DUE if delivery.program is not None and delivery.due_on is not None:
                await self._client.start_workflow(
                    PayoutCycle.run,
                    delivery.target,
                    id=cycle_workflow_id(delivery.program, delivery.due_on),
                    task_queue=self._payouts_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal="news",
                    start_signal_args=[subject],
                    static_summary=f"Payout cycle of {delivery.program}, due on {delivery.due_on}",
                )
            case WakeupKind.RECONCILIATION_DUE:
                await self._client.start_workflow(
                    Reconciliation.run,
                    delivery.target,
                    id=reconciliation_workflow_id(delivery.target),
                    task_queue=self._payouts_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    static_summary="What a rail paid, compared with what we hold",
                )
            case WakeupKind.PROGRAM_DUE:
                await self._client.start_workflow(
                    ProgramLife.run,
                    delivery.target,
                    id=program_workflow_id(delivery.target),
                    task_queue=self._referrals_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal="news",
                    start_signal_args=[subject],
                    static_summary=f"What was decided on the program {delivery.target}",
                )
            case WakeupKind.SCHEDULE_DUE:
                await self._schedules.set(delivery.target, datetime.now(UTC))
            case WakeupKind.PULL_DUE:
                await self._pulls.trigger(delivery.target)
            case WakeupKind.FACT | WakeupKind.DECISION | WakeupKind.PAYOUT_SETTLED | WakeupKind.REFERRAL_OVERDUE:
                await self._client.start_workflow(
                    Referral.run,
                    delivery.target,
                    id=workflow_id(delivery.target),
                    task_queue=self._referrals_queue,
                    id_conflict_policy=conflict,
                    start_signal=_SIGNALS.get(delivery.kind) if signalled else None,
                    start_signal_args=[subject] if signalled else [],
                    search_attributes=_initial_attributes(delivery),
                    static_summary=_summary(delivery),
                )


def _tell_refused(refused: Sequence[tuple[Delivery, RPCError]]) -> None:
    """Log once for each reason why wake-ups stay, with the first one: a reason may hold for hundreds."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for delivery, error in refused:
        reasons.setdefault((error.status.name, error.message), []).append(delivery.target)
    for (status, why), targets in reasons.items():
        _log.warning("not_delivered", status=status, why=why, wakeups=len(targets), first=targets[0])


#: What is overdue is started if no workflow runs for it. If one does, its timers are left alone.
_ONLY_STARTED: Final = frozenset({WakeupKind.PAYOUT_OVERDUE, WakeupKind.REFERRAL_OVERDUE})
_SIGNALS: Final = {
    WakeupKind.FACT: "fact_arrived",
    WakeupKind.DECISION: "decision_recorded",
    WakeupKind.PAYOUT_SETTLED: "payout_settled",
}


def _summary(delivery: Delivery) -> str:
    """The summary that the Web UI shows beside the id."""
    how = f" by {delivery.channel}" if delivery.channel else ""
    return f"{delivery.program}: referred by {delivery.referrer or 'somebody unknown'}{how}"


def _initial_attributes(delivery: Delivery) -> TypedSearchAttributes:
    """The search attributes to start with. Set at the start they cost no history; the workflow only sets what
    differs."""
    program = [] if delivery.program is None else [SearchAttributePair(search_attributes.PROGRAM, delivery.program)]
    return TypedSearchAttributes([*program, SearchAttributePair(search_attributes.STATUS, "invited")])


async def _sweep(connection: AsyncConnection, now: datetime) -> int:
    await file_intake.release_abandoned(connection, now)
    await queue.date(connection)
    await strays.clear(connection)
    return await overdue.sweep(connection, now)
