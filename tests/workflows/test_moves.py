"""A reward moved to another referrer, on the real servers: paid once, to the one it was moved to."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.programs.terms import Role
from tests.installation import Installation
from tests.workflows.scenes import (
    before_its_approver,
    days_ago,
    pay,
    payouts,
    payouts_at_work,
    quiet,
    referrals_at_work,
    scene,
    sql,
)

MIA = {"referrer": "mia", "program": "acme-friends", "customer": "c-mia", "email": "mia@example.com"}


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as opened:
        await opened.record("referrer.enrolled", days_ago(200), MIA)
        yield opened


async def _asked_to_move(life: Installation) -> None:
    about = {"referral": "r1", "from_referrer": "dexter", "to_referrer": "mia", "reason": "support_case"}
    await life.record("attribution.changed", days_ago(2), about)


async def _moved(life: Installation) -> None:
    await life.user("oscar", Role.OPERATIONS)
    await life.decide("r1", DecisionKind.REASSIGN, referrer="mia")
    await life.decide("r1", DecisionKind.REASSIGN, user="oscar", roles=[Role.OPERATIONS], referrer="mia")


async def test_a_moved_reward_is_paid_once_to_its_new_referrer(life: Installation) -> None:
    async with life.workers():
        await before_its_approver(life, "r1")
        await _asked_to_move(life)
        await life.settled("r1")
        await _moved(life)
        assert (await quiet(life, "r1")).referrer == "mia"
        await life.decide("r1")
        assert (await life.settled("r1", among=frozenset({"rewarded"}))).moved_to == "mia"
    paid = await sql(life, "SELECT payee, state FROM payout ORDER BY payee")
    assert [tuple(each) for each in paid] == [("c-r1", "settled"), ("mia", "settled")]


async def test_a_move_that_nobody_has_judged_yet_stops_the_payment(life: Installation) -> None:
    async with referrals_at_work(life):
        await before_its_approver(life, "r1")
        await _asked_to_move(life)
        await life.settled("r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"approved"}))
    await _moved(life)
    target = (await payouts(life, "r1"))["referrer"]
    async with payouts_at_work(life), referrals_at_work(life):
        paying = asyncio.create_task(pay(life, target.id))
        assert (await life.settled("r1", among=frozenset({"awaiting_approval"}))).referrer == "mia"
        assert await paying == "cancelled"
    assert await life.money() == {}
