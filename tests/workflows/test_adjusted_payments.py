"""An adjusted reward on the real servers: the payout pays what was set, and nothing that nobody approved."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.referrals import cases
from tests.installation import Installation
from tests.workflows.scenes import (
    before_its_approver,
    pay,
    payouts,
    payouts_at_work,
    quiet,
    referrals_at_work,
    scene,
    sql,
)


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as opened:
        await opened.user("oscar", Role.OPERATIONS)
        yield opened


async def _adjusted(life: Installation, leg: str, amount_minor: int) -> None:
    row = await life.row("r1")
    async with life.database.transaction() as connection:
        claim, _ = await cases.current(connection, row.claim_id)
    named = {"leg": leg, "amount_minor": amount_minor, "calculated": claim.calculated_digest}
    await life.decide("r1", DecisionKind.ADJUST, user="oscar", roles=[Role.OPERATIONS], **named)


async def test_an_adjusted_reward_is_verified_and_paid_as_it_was_set(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await _adjusted(life, "referrer", 1500)
        await quiet(life, "r1")
        await _adjusted(life, "referee", 0)
        # Only then is the claim assembled with both: it waits for a person before, too, and a signature on what it was
        # then would be void.
        await quiet(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
    assert [tuple(each) for each in await sql(life, "SELECT payee, amount_minor FROM payout")] == [("dexter", 1500)]
    assert await life.money() == {"expense:acme-friends": 1500, "credit:dexter": -1500}


async def test_an_adjustment_that_nobody_has_judged_yet_stops_the_payment(life: Installation) -> None:
    async with referrals_at_work(life):
        await before_its_approver(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"approved"}))
    await _adjusted(life, "referrer", 1500)
    target = (await payouts(life, "r1"))["referrer"]
    async with payouts_at_work(life), referrals_at_work(life):
        paying = asyncio.create_task(pay(life, target.id))
        await life.settled("r1", among=frozenset({"awaiting_approval"}))
        assert await paying == "cancelled"
    assert await life.money() == {}
