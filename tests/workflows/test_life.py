"""Dexter and Brie's first referral, lived fact by fact on the real server, from invitation to the end of the watch."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from referral_rewards.register.claims import reservations
from referral_rewards.workflow_ids import payout_workflow_id
from tests.installation import Installation, installation

DEXTER = {"referrer": "dexter", "program": "acme-friends"}
BRIE = {"customer": "c-brie-1", "email": "brie1@example.com"}


async def live_through(life: Installation, referral: str = "db1") -> dict[str, datetime]:
    """The contract's `db1` with its own distances between the facts, both legs paid and the watch over."""
    sent = datetime.now(UTC).replace(microsecond=0)
    claimed, bought = sent + timedelta(days=19), sent + timedelta(days=39)
    await life.publish()
    await life.user("olga")
    await life.tell(
        "referrer.enrolled", sent - timedelta(days=200), **DEXTER, customer="c-dexter", email="dexter@example.com"
    )
    await life.tell(
        "referral.sent", sent, referral=referral, **DEXTER, channel="email", referee={"email": "brie1@example.com"}
    )
    assert (await life.settled(referral)).status == "invited"
    await life.pass_time(referral, timedelta(days=19))
    await life.tell("referral.claimed", claimed, referral=referral, referee=BRIE, consent=True)
    assert (await life.settled(referral)).status == "claimed"
    await life.pass_time(referral, timedelta(days=20))
    purchase = {"order": "o1", "kind": "purchase", "amount": "80.00", "currency": "USD", "new_customer": True}
    await life.tell("conversion.recorded", bought, customer=BRIE, **purchase)
    assert (await life.settled(referral)).status == "in_return_period"
    # Past the end, the hour that stragglers are given, and the one more that an autumn's change of clocks may take.
    await life.pass_time(referral, timedelta(days=14, hours=3))
    assert (await life.settled(referral)).status == "awaiting_approval"
    await life.decide(referral)
    await life.settled(referral, among=frozenset({"rewarded"}))
    await life.pass_time(referral, timedelta(days=61))
    await life.handle(referral).result()
    return {"sent": sent, "claimed": claimed, "bought": bought}


async def test_db1_is_rewarded_within_its_budget_of_events_and_actions(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with installation(database_url, temporal_env) as life, life.workers():
        await live_through(life)
        events = lived(await life.handle("db1").fetch_history())
        row = await life.row("db1")
        assert (row.status, row.net_minor, row.late_facts) == ("rewarded", 8000, 0)
        assert row.closed_at is not None
        assert await life.money() == {
            "expense:acme-friends": 3300,
            "credit:dexter": -2500,
            "credit:c-brie-1": -800,
        }
        async with life.database.transaction() as connection:
            payouts = [str(each.id) for each in await reservations.payouts_of(connection, "db1")]
        runs = [temporal_env.client.get_workflow_handle(payout_workflow_id(each)) for each in payouts]
        paying = [lived(await run.fetch_history()) for run in runs]
    spent = actions(events)
    assert spent == {
        "start": 1,
        "signal": 4,
        "timer": 5,
        "workflow task with local activities": 6,
        "activity": 1,
        "search attribute upsert": 6,
    }
    # A run that is started needs no signal: it begins with what the register holds.
    assert [actions(payout) for payout in paying] == [{"start": 1, "workflow task with local activities": 1}] * 2
    assert sum(spent.values()) + 2 * 2 <= 27
    # Some more where a loaded machine takes long over a workflow task.
    assert len(events) + sum(map(len, paying)) <= 80


def lived(history: WorkflowHistory) -> list[HistoryEvent]:
    """The events of a history, without those by which a test server notes that it moved the clock."""
    moved = {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED,
    }
    return [event for event in history.events if event.event_type not in moved]


def actions(events: list[HistoryEvent]) -> Counter[str]:
    """Every billable action of a history, by its kind."""
    kinds = {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "start",
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signal",
        EventType.EVENT_TYPE_TIMER_STARTED: "timer",
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activity",
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attribute upsert",
    }
    spent = Counter(kinds[event.event_type] for event in events if event.event_type in kinds)
    # Local activities are billed once a workflow task; their markers carry the task that recorded them.
    tasks = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    }
    spent["workflow task with local activities"] = len(tasks)
    return spent
