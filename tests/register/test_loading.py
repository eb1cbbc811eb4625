"""A judgement sees whatever was committed before it got the lock on its referral's row, also while it waited."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest

from models.session import Database
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import outbox
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import rows as referrals
from tests.register.crowd import INTAKE, NOW, Crowd, enrolment, told

LATER: Final = NOW + timedelta(hours=2)
_WAITING: Final = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url)
    opened = Crowd(database)
    await opened.publish("friends")
    claim = {
        "referral": "a",
        "program": "friends",
        "referrer": "dexter",
        "channel": "link",
        "referee": {"customer": "b"},
    }
    await opened.live([*enrolment("dexter"), told("claimed", "referral.claimed", 5, claim)])
    yield opened
    await database.close()


async def _waiting(crowd: Crowd) -> None:
    while not await crowd.rows(_WAITING):
        await asyncio.sleep(0.01)


async def test_a_fact_committed_while_the_judgement_waits_is_judged(crowd: Crowd) -> None:
    bought = {"order": "o", "kind": "purchase", "customer": {"customer": "b"}, "amount": "80.00", "currency": "USD"}
    async with asyncio.TaskGroup() as together, crowd.database.transaction() as connection:
        await INTAKE.record(
            connection, [parse_event(told("bought", "conversion.recorded", 1, bought))], received_at=NOW
        )
        judging = together.create_task(_judge(crowd))
        await _waiting(crowd)
    assert judging.result() is ReferralStatus.IN_RETURN_PERIOD


async def test_what_is_listed_while_the_judgement_waits_is_taken_off_as_it_is_read(crowd: Crowd) -> None:
    (fact,) = await crowd.rows("SELECT fact_id FROM referral_fact WHERE referral_id = 'a' ORDER BY version LIMIT 1")
    async with asyncio.TaskGroup() as together, crowd.database.transaction() as connection:
        await referrals.hold(connection, "a")
        await outbox.enqueue(connection, WakeupKind.FACT, "a", fact.fact_id)
        together.create_task(_judge(crowd))
        await _waiting(crowd)
    assert await crowd.rows("SELECT 1 FROM to_judge WHERE referral_id = 'a'") == []


async def _judge(crowd: Crowd) -> ReferralStatus:
    async with crowd.database.transaction() as connection:
        return (await Judgement(crowd.keys).judge(connection, "a", LATER)).status
