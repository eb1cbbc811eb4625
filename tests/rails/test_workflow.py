"""The Payout workflow on a real server: by which queue its rail is called, and what wakes it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.register import outbox
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.temporal import payout_workflow_id
from tests.patience import PATIENCE_SECONDS
from tests.rails.conftest import Opener
from tests.rails.sending import Sending
from tests.workflows.scenes import pay, sql, status_of
from worker.build import payouts_worker, provider_worker

_S = PayoutState


@asynccontextmanager
async def at_work(sending: Sending, *, connected: bool = True) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """Workers of both queues, if the rail is ``connected``; the payout's run, which ends with the block."""
    life, client = sending.life, sending.life.environment.client
    rail = sending.case.rail
    queue = f"{life.queue}-payouts"
    elsewhere = {rail.facts.name: f"{queue}-its-provider"} if connected else {}
    common = (life.database, life.keys, life.intake, life.sources)
    handle = client.get_workflow_handle(payout_workflow_id(sending.payout))
    async with payouts_worker(client, queue, *common, elsewhere=elsewhere):
        try:
            if connected:
                async with provider_worker(
                    client, f"{queue}-its-provider", *common, {rail.facts.name: rail}, per_second=1000
                ):
                    yield handle
            else:
                yield handle
        finally:
            # The tests of a session share one Temporal server, and call their referrals alike.
            for each in (handle, life.handle("r1")):
                with suppress(RPCError):
                    await each.terminate()


async def wake(sending: Sending, kind: WakeupKind = WakeupKind.PAYOUT_DUE) -> None:
    async with sending.life.database.transaction() as connection:
        await outbox.enqueue(connection, kind, sending.payout, UUID(sending.payout))
    await sending.life.relay.deliver()


async def stands(sending: Sending, state: PayoutState) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await sending.row()).state != state:
            await asyncio.sleep(0.05)


async def _scheduled(handle: WorkflowHandle[Any, Any]) -> Counter[str]:
    """By which queues the run had its rail called, and how often."""
    scheduled = [
        event.activity_task_scheduled_event_attributes.task_queue.name.rpartition("payouts")[2]
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    return Counter(scheduled)


async def test_a_rail_is_called_by_the_queue_of_its_provider_and_once(transfer: Sending) -> None:
    async with at_work(transfer) as handle:
        await wake(transfer)
        assert await handle.result() == _S.SETTLED
        assert await _scheduled(handle) == {"-its-provider": 1}
    assert await transfer.settled_once()


async def test_a_rail_that_is_not_connected_says_so(transfer: Sending) -> None:
    async with at_work(transfer, connected=False) as handle:
        await wake(transfer)
        status = await status_of(handle)
        assert (status["state"], status["why"]) == ("approved", "Stripe transfer is not connected")
        # By the payouts worker itself, which has no such rail.
        assert await _scheduled(handle) == {}


async def test_news_has_a_payout_looked_at_again_at_once_and_a_sweep_does_not(transfer: Sending) -> None:
    transfer.provider.fail(Fault.REPLY_LOST)
    async with at_work(transfer) as handle:
        await wake(transfer)
        await stands(transfer, _S.UNKNOWN)
        asked = len(transfer.provider.asked)
        await wake(transfer, WakeupKind.PAYOUT_OVERDUE)
        await status_of(handle)
        assert len(transfer.provider.asked) == asked
        await wake(transfer)
        assert await handle.result() == _S.SETTLED
    assert await transfer.settled_once()


async def test_a_decision_wakes_the_run_that_carries_it_out(transfer: Sending) -> None:
    transfer.provider.poor = True
    async with at_work(transfer) as handle:
        await wake(transfer)
        await stands(transfer, _S.WAITING_FUNDS)
        transfer.provider.poor = False
        await transfer.decide(MoneyAct.RETRY_PAYOUT)
        await transfer.life.relay.deliver()
        assert await handle.result() == _S.SETTLED
    assert await transfer.settled_once()


async def test_funds_that_come_are_noticed_within_the_hour(transfer: Sending) -> None:
    transfer.provider.poor = True
    async with at_work(transfer) as handle:
        await wake(transfer)
        await stands(transfer, _S.WAITING_FUNDS)
        transfer.provider.poor = False
        await transfer.life.environment.fast_forward(handle, timedelta(hours=1, minutes=1))
        assert await handle.result() == _S.SETTLED
    assert await transfer.settled_once()


async def test_a_wake_of_what_is_at_rest_looks_once_and_moves_nothing_by_itself(transfer: Sending) -> None:
    """Told too early, twice, late, or by somebody who made it up: the provider says what there is."""
    async with at_work(transfer) as handle:
        await wake(transfer)
        await handle.result()
        for _ in range(2):
            asked = len(transfer.provider.asked)
            await wake(transfer)
            assert await handle.result() == _S.SETTLED
            assert [each.method for each in transfer.provider.asked[asked:]] == ["GET"]
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert await transfer.settled_once()
    assert len(transfer.posts()) == 1


async def test_a_signal_to_a_payout_that_nobody_planned_pays_nothing(transfer: Sending) -> None:
    nobody = str(UUID(int=7))
    async with at_work(transfer):
        assert await pay(transfer.life, nobody) == _S.CANCELLED
        assert await pay(transfer.life, "no id at all", as_workflow="payout-none") == _S.CANCELLED
    assert transfer.provider.asked == []


async def test_two_runs_under_other_names_pay_once(transfer: Sending) -> None:
    async with at_work(transfer):
        names = [f"payout-{transfer.payout}-{number}" for number in range(4)]
        await asyncio.gather(*(pay(transfer.life, transfer.payout, as_workflow=name) for name in names))
    assert await transfer.settled_once()


@pytest.mark.parametrize("state", ["approved", "sending"])
async def test_a_payout_whose_run_was_ended_is_begun_again_by_the_sweep(transfer: Sending, state: str) -> None:
    relay, later = transfer.life.relay, timedelta(minutes=3)
    await sql(transfer.life, "UPDATE payout SET state = :state WHERE id = :id", state=state, id=transfer.payout)
    await sql(transfer.life, "UPDATE payout SET state = 'settled' WHERE id <> :id", id=transfer.payout)
    (due,) = await sql(transfer.life, "SELECT updated_at FROM payout WHERE id = :id", id=transfer.payout)
    assert await relay.sweep(due.updated_at) == 0
    async with at_work(transfer) as handle:
        assert await relay.sweep(due.updated_at + later) == 1
        await relay.deliver()
        assert await handle.result() == _S.SETTLED
        assert await relay.sweep(due.updated_at + later) == 0


async def test_what_waits_for_its_own_timer_is_not_swept(opened: Opener) -> None:
    async with opened("paypal_payouts") as sending:
        await sql(sending.life, "UPDATE payout SET state = 'settled' WHERE id <> :id", id=sending.payout)
        sending.provider.becomes = "UNCLAIMED"
        assert (await sending.step()).state == _S.ACCEPTED
        assert await sending.life.relay.sweep(sending.now + timedelta(minutes=4)) == 0
        assert await sending.life.relay.sweep(sending.now + timedelta(minutes=8)) == 1
