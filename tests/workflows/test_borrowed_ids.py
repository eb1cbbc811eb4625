"""Runs that somebody started by hand under the id of another: whoever that id belongs to is woken all the same."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.cycles.grouping import cycle_id
from referral_rewards.workflow_ids import (
    clawback_workflow_id,
    cycle_workflow_id,
    is_another_cycles,
    is_anothers,
    payout_workflow_id,
    reconciliation_workflow_id,
    workflow_id,
)
from tests.installation import Installation
from tests.workflows.scenes import (
    approved_but_unsent,
    before_its_approver,
    lived_until_review,
    pay,
    payouts,
    payouts_at_work,
    referrals_at_work,
    scene,
    sql,
)
from workflows.referral import Referral

_ONE, _OTHER = str(UUID(int=1)), str(UUID(int=2))
_DAY = date(2026, 5, 15)
_CYCLE = str(cycle_id("acme-friends", _DAY))


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        yield life


@pytest.mark.parametrize("spell", [payout_workflow_id, clawback_workflow_id, reconciliation_workflow_id])
def test_the_id_of_another_is_told_from_ones_own_and_from_a_name_that_wakes_nobody(spell: Any) -> None:
    own = spell(_ONE)
    assert not is_anothers(own, own)
    assert is_anothers(spell(_OTHER), own)
    assert is_anothers(workflow_id("r1"), own)
    assert is_anothers(cycle_workflow_id("acme-friends", _DAY), own)
    assert not is_anothers(f"{own}-again", own)
    assert not is_anothers("payout", own)


@pytest.mark.parametrize(
    ("borne", "anothers"),
    [
        (cycle_workflow_id("acme-friends", _DAY), False),
        (cycle_workflow_id("acme-friends", _DAY + timedelta(days=1)), True),
        (cycle_workflow_id("acme-friend", _DAY), True),
        ("payout-cycle-acme-friends-2026-02-30", True),
        (payout_workflow_id(_CYCLE), True),
        ("payout_cycle", False),
    ],
)
def test_a_cycle_bears_its_program_and_its_day(borne: str, anothers: bool) -> None:
    assert is_another_cycles(borne, _CYCLE) is anothers


async def test_a_payout_that_waits_under_anothers_id_does_not_keep_that_one_from_being_paid(life: Installation) -> None:
    await approved_but_unsent(life, "r1")
    its = await payouts(life, "r1")
    halt = "INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES ('account_credit', now(), now(), 'down')"
    await sql(life, halt)
    name = payout_workflow_id(str(its["referee"].id))
    while await life.relay.deliver():
        pass
    await life.environment.client.get_workflow_handle(name).terminate()
    async with payouts_at_work(life):
        said = await pay(life, its["referrer"].id, as_workflow=name)
        assert said == "started under the id of another workflow"
        await sql(life, "DELETE FROM rail_halt")
        assert await pay(life, its["referee"].id) == "settled"


async def test_a_referral_that_waits_under_anothers_id_does_not_keep_that_one_from_being_judged(
    life: Installation,
) -> None:
    async with referrals_at_work(life):
        await before_its_approver(life, "r1")
        client, queue = life.environment.client, f"{life.queue}-referrals"
        borrowed = await client.start_workflow(Referral.run, "r1", id=workflow_id("r2"), task_queue=queue)
        await lived_until_review(life, "r2")
        row = await life.settled("r2", among=frozenset({"awaiting_approval"}))
        assert row.judged_at > datetime.now(UTC) - timedelta(minutes=5)
        assert await borrowed.result() == "started under the id of another workflow"
