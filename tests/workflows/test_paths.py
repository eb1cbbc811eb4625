"""Every way a referral can go, on real servers; and what happens to its workflow on the way changes nothing."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.embedded import temporal_cli
from referral_rewards.rails import account_credit
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from referral_rewards.temporal import workflow_id
from referral_rewards.workflow_ids import reconciliation_workflow_id
from tests.chaos.cluster import until
from tests.installation import Installation
from tests.workflows.journeys import ENDS, Journey, in_review, refunded_in_the_watch, reopened_and_paid
from tests.workflows.scenes import (
    before_its_approver,
    books,
    days_ago,
    is_open,
    lived_until_review,
    purchase,
    quiet,
    scene,
    sql,
)

Path = Callable[[Journey], Awaitable[None]]


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life, life.workers():
        yield life


@pytest.mark.parametrize(("path", "end"), ENDS.items(), ids=[path.__name__ for path in ENDS])
@pytest.mark.suite_has(2)
async def test_a_referral_lived_day_by_day_ends_as_the_periods_and_people_say(
    life: Installation, path: Path, end: tuple[str, str | None, str | None, int]
) -> None:
    status, reason, order, late_facts = end
    await path(Journey(life, "r1"))
    row = await life.row("r1")
    assert (row.status, row.reason, row.late_facts) == (status, reason, late_facts)
    assert row.order_id == (order and f"{order}-r1")
    assert await life.money() == (books("r1") if status == "rewarded" else {})
    assert (row.closed_at is None) == await is_open(life, "r1")


async def test_a_refund_after_the_payment_opens_a_case_for_each_leg_and_takes_nothing_back_by_itself(
    life: Installation,
) -> None:
    await refunded_in_the_watch(Journey(life, "r1"))
    assert (
        await sql(life, "SELECT state, why FROM clawback_case")
        == [("open", "the conversion of order o1-r1 was reversed")] * 2
    )


async def test_a_refund_told_by_a_clock_ahead_of_ours_opens_its_cases_at_its_own_time(life: Installation) -> None:
    journey = Journey(life, "r1")
    await in_review(journey)
    await journey.decide(DecisionKind.APPROVE)
    await journey.stands("rewarded")
    await journey.until(20)
    happens_at = journey.began_at + timedelta(days=20, minutes=4)
    await life.tell("conversion.reversed", happens_at, order="o1-r1", kind="refund")
    assert (await quiet(life, "r1")).wake_at == happens_at
    assert await sql(life, "SELECT 1 FROM clawback_case") == []
    await life.pass_time("r1", timedelta(minutes=5))
    await quiet(life, "r1")
    assert len(await sql(life, "SELECT 1 FROM clawback_case")) == 2


async def test_a_referral_told_by_a_clock_ahead_of_ours_begins_at_its_own_time(life: Installation) -> None:
    journey = Journey(life, "r1", began_at=datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=4))
    await journey.sent()
    assert (await quiet(life, "r1")).status is None
    assert await is_open(life, "r1")
    await life.pass_time("r1", timedelta(minutes=5))
    assert (await quiet(life, "r1")).status == "invited"


async def test_a_reopened_referral_is_judged_in_a_round_of_its_own_and_needs_two_people(life: Installation) -> None:
    await reopened_and_paid(Journey(life, "r1"))
    claims = await sql(
        life, "SELECT round, body->'override' AS override, digest FROM reward_claim ORDER BY assembled_at"
    )
    assert [(claim.round, claim.override) for claim in claims] == [(1, False), (2, True)]
    kinds = await sql(life, "SELECT kind, username FROM decision ORDER BY seq")
    assert kinds == [("deny", "olga"), ("reopen", "olga"), ("approve", "olga"), ("approve", "otto")]


async def test_an_approval_of_an_order_that_is_rewarded_already_is_void_and_asks_again(life: Installation) -> None:
    """Two people override the warning of a duplicate; the database allows no second reward for the order."""
    await life.user("otto")
    await before_its_approver(life, "r1")
    await life.decide("r1")
    await life.settled("r1", among=frozenset({"rewarded"}))
    referee = {"customer": "c-r1", "email": "r1@example.com"}
    about = {"referral": "r2", "referrer": "dexter", "program": "acme-friends", "channel": "email"}
    await life.record("referral.sent", days_ago(61), about | {"referee": referee})
    await life.record("referral.claimed", days_ago(51), {"referral": "r2", "referee": referee, "consent": True})
    assert (await life.settled("r2", among=frozenset({"awaiting_approval"}))).order_id == "o-r1"
    for _ in range(2):
        for user in ("olga", "otto"):
            await life.decide("r2", user=user, roles=[Role.PROGRAM_OWNER, Role.FINANCE, Role.OPERATIONS])
        assert (await quiet(life, "r2")).status == "awaiting_approval"
    noted = "SELECT effect FROM decision_effect e JOIN decision d ON d.id = e.decision_id WHERE d.referral_id = 'r2'"
    effects = await sql(life, noted)
    assert effects == [("void",)] * 4
    assert await life.money() == books("r1")


@pytest.mark.parametrize(
    ("ends_as", "then"), [("rewarded", ("denied", "duplicate_claim")), ("withdrawn", ("awaiting_approval", None))]
)
async def test_the_later_of_two_invitations_by_one_referrer_needs_nobody(
    life: Installation, ends_as: str, then: tuple[str, str | None]
) -> None:
    """An invitation by email and, an hour later, the personal link: the one is paid, the other closes by that."""
    await lived_until_review(life, "r1")
    about = {"referral": "r2", "referrer": "dexter", "program": "acme-friends", "channel": "link", "consent": True}
    referee = {"customer": "c-r1", "email": "r1@example.com"}
    await life.record("referral.claimed", days_ago(50) + timedelta(hours=1), about | {"referee": referee})
    for referral in ("r1", "r2", "r1"):  # what the second is assembled to has the first judged again
        await life.settled(referral, among=frozenset({"awaiting_approval"}))
        await quiet(life, referral)
    advice = """
    SELECT r.id, c.body->>'recommendation', c.body->>'waits_for'
    FROM referral r JOIN reward_claim c ON c.id = r.claim_id ORDER BY 1
    """
    assert await sql(life, advice) == [("r1", "approve", None), ("r2", "deny", "r1")]
    assert await sql(life, "SELECT referral_id FROM queue_entry") == [("r1",)]
    assert (await life.row("r2")).waiting_since is None

    if ends_as == "rewarded":
        await life.decide("r1")
    else:
        await life.record("referral.withdrawn", days_ago(0), {"referral": "r1", "by": "referrer"})
    await life.settled("r1", among=frozenset({ends_as}))
    await quiet(life, "r1")
    row = await quiet(life, "r2")
    assert (row.status, row.reason) == then
    waiting = [("r2",)] if then[0] == "awaiting_approval" else []
    assert await sql(life, "SELECT referral_id FROM queue_entry") == waiting
    second = ("r2", "deny" if then[1] else "approve", None)
    assert [each for each in await sql(life, advice) if each.id == "r2"] == [second]
    assert await life.money() == (books("r1") if then[1] else {})


# What may happen to the workflow itself.


async def test_a_terminated_workflow_is_started_again_by_the_next_fact(life: Installation) -> None:
    journey = Journey(life, "r1")
    await journey.sent()
    await life.handle("r1").terminate()
    await journey.claimed(0)
    assert (await journey.stands("claimed")).status == "claimed"
    assert await is_open(life, "r1")


async def test_a_terminated_workflow_is_started_again_by_the_sweep_once_its_alarm_is_overdue(
    life: Installation,
) -> None:
    journey = Journey(life, "r1")
    await journey.sent()
    await life.handle("r1").terminate()
    assert await life.relay.sweep(journey.began_at + timedelta(days=29)) == 0
    assert await life.relay.sweep(journey.began_at + timedelta(days=31)) == 1
    await quiet(life, "r1")
    assert await is_open(life, "r1")
    await journey.until(30.1)
    await journey.stands("expired")


@pytest.mark.chaos
async def test_a_referral_whose_history_is_gone_goes_on_from_the_register(life: Installation) -> None:
    """Terminated and deleted, as after the end of retention: nothing but Postgres remembers it."""
    await before_its_approver(life, "r1")
    await life.handle("r1").terminate()
    await _delete(life)
    await life.decide("r1")
    await life.settled("r1", among=frozenset({"rewarded"}))
    assert await life.money() == books("r1")


async def _delete(life: Installation) -> None:
    client, execution = life.environment.client, WorkflowExecution(workflow_id=workflow_id("r1"))
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    await client.workflow_service.delete_workflow_execution(request)

    async def gone() -> bool:
        try:
            await life.handle("r1").describe()
        except RPCError:
            return True
        return False

    await until(gone)


@pytest.mark.parametrize("to", ["the beginning", "the approval"])
async def test_a_workflow_reset_after_the_payment_does_not_pay_twice(life: Installation, to: str) -> None:
    await in_review(Journey(life, "r1"))
    await life.decide("r1")
    await life.settled("r1", among=frozenset({"rewarded"}))
    before = await sql(life, "SELECT id, key FROM ledger_transaction ORDER BY key")
    history = await life.handle("r1").fetch_history()
    tasks = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    approval = max(
        e.event_id
        for e in history.events
        if e.workflow_execution_signaled_event_attributes.signal_name == "decision_recorded"
    )
    client = life.environment.client
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id("r1"), run_id=history.run_id),
            reason="a test",
            request_id=str(uuid4()),
            workflow_task_finish_event_id=min(t for t in tasks if to == "the beginning" or t > approval),
        )
    )
    assert (await quiet(life, "r1")).status == "rewarded"
    assert await life.money() == books("r1")
    assert await sql(life, "SELECT id, key FROM ledger_transaction ORDER BY key") == before


async def test_a_payout_whose_workflow_is_started_again_after_it_settled_pays_nothing_more(life: Installation) -> None:
    await before_its_approver(life, "r1")
    await life.decide("r1")
    await life.settled("r1", among=frozenset({"rewarded"}))
    await sql(life, "INSERT INTO outbox (kind, target, subject_id) SELECT 'payout_due', id::text, id FROM payout")
    assert (await quiet(life, "r1")).status == "rewarded"
    assert await life.money() == books("r1")


async def test_a_long_history_is_continued_as_new_and_goes_on_where_it_was(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that suggests a new run every 60 events, as others do after thousands."""
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=temporal_cli(),
            dev_server_log_level="error",
            dev_server_startup_timeout=timedelta(seconds=120),
            search_attributes=list(SEARCH_ATTRIBUTES),
            data_converter=pydantic_data_converter,
            dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"],
        ) as environment,
        scene(database_url, environment) as life,
        life.workers(),
    ):
        await before_its_approver(life, "r1")
        first = (await life.handle("r1").describe()).run_id
        for _ in range(30):
            await life.handle("r1").signal("fact_arrived", str(uuid4()))
            await quiet(life, "r1")
        assert (await life.handle("r1").describe()).run_id != first
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
        assert await life.money() == books("r1")
        await _reconciled_page_by_page(life, monkeypatch)


async def _reconciled_page_by_page(life: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a reconciliation, which keeps nothing of what it has listed but where it came to."""
    monkeypatch.setattr(account_credit, "PAGE", 1)
    await sql(
        life,
        "WITH made AS (INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)"
        " SELECT gen_random_uuid(), 'by_hand:' || n, 'by hand', now(), 'acme-friends', '' FROM generate_series(1, 30) n"
        " RETURNING id) INSERT INTO posting (transaction_id, account, amount_minor, currency)"
        " SELECT id, v.account, v.minor, 'USD' FROM made,"
        " (VALUES ('clearing:account_credit', 100), ('credit:somebody', -100)) AS v(account, minor)",
    )
    day, now = timedelta(days=1), datetime.now(UTC)
    async with life.database.transaction() as connection:
        asked = await reconciliations.ask(connection, "account_credit", now - day, now + day, by="fay", at=now)
    await life.relay.deliver()
    name = reconciliation_workflow_id(str(asked))
    assert await life.environment.client.get_workflow_handle(name).result() == 30
    runs = [each.run_id async for each in life.environment.client.list_workflows(f"WorkflowId = '{name}'")]
    assert len(runs) > 1


# The order in which facts arrive.


def _fifty() -> list[tuple[str, datetime, dict[str, Any]]]:
    """Fifty facts of one referral: many purchases, most of them returned, issues, consents, ratings, suspensions."""
    referee = {"customer": "c-r1", "email": "r1@example.com"}
    about = {"referral": "r1", "referrer": "dexter", "program": "acme-friends", "channel": "email"}
    facts: list[tuple[str, datetime, dict[str, Any]]] = [
        ("referral.sent", days_ago(60), about | {"referee": {"email": "r1@example.com"}}),
        ("referral.claimed", days_ago(55), {"referral": "r1", "referee": referee, "consent": True}),
        ("referral.claimed", days_ago(54), {"referral": "r1", "referee": {"customer": "c-r1"}, "consent": True}),
    ]
    for number in range(1, 13):
        at = 50 - number
        facts.append(("conversion.recorded", days_ago(at), purchase("r1", f"o{number}", f"{60 + number}.00")))
        if number not in (4, 9):
            facts.append(("conversion.reversed", days_ago(at - 8), {"order": f"o{number}", "kind": "refund"}))
        facts.append(("customer.issue_opened", days_ago(at - 1), {"customer": referee, "issue": f"i{number}"}))
        facts.append(("customer.issue_resolved", days_ago(at - 2), {"customer": referee, "issue": f"i{number}"}))
    facts.append(("conversion.reversed", days_ago(20), {"order": "o4", "kind": "return", "amount": "5.00"}))
    return facts


async def test_fifty_facts_come_to_the_same_whatever_order_they_arrive_in(life: Installation) -> None:
    facts = _fifty()
    assert len(facts) == 50
    random.Random(50).shuffle(facts)
    for fact in facts:
        await life.record(*fact, received_at=datetime.now(UTC))
        await life.relay.deliver()
    await quiet(life, "r1")
    await life.pass_time("r1", timedelta(hours=2))
    row = await life.settled("r1", among=frozenset({"awaiting_approval"}))
    assert (row.order_id, row.net_minor, row.late_facts) == ("o4", 5900, 0)


@pytest.mark.parametrize(
    ("program", "sent"),
    [
        pytest.param("acme-friends", 3000, id="before any terms"),
        pytest.param("unheard-of", 70, id="in an unknown program"),
    ],
)
async def test_a_paid_referral_stays_under_watch_whatever_is_said_of_its_beginning(
    life: Installation, program: str, sent: float
) -> None:
    await before_its_approver(life, "r1")
    await life.decide("r1")
    await life.settled("r1", among=frozenset({"rewarded"}))
    other = {"referral": "r1", "program": program, "referrer": "mia", "channel": "email"}
    await life.record("referral.sent", days_ago(sent), other)
    row = await quiet(life, "r1")
    assert (row.status, row.parked, row.program, row.referrer) == ("rewarded", None, "acme-friends", "dexter")
    await life.record("conversion.reversed", days_ago(1), {"order": "o-r1", "kind": "refund"})
    await quiet(life, "r1")
    assert len(await sql(life, "SELECT 1 FROM clawback_case")) == 2
