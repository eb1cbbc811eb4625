"""Temporal Schedules pull the sources that the configuration has pulled, and a person can have one pulled now."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from referral_rewards.loopback import served
from referral_rewards.register import outbox
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.source_events import cursors, keeping
from referral_rewards.temporal import pull_id
from referral_rewards.vendor_apis.connected import connected
from tests.installation import Installation, installation
from tests.patience import PATIENCE_SECONDS
from tests.pulls.pulling import PULL, source
from tests.pulls.vendors_faked import Stripe
from tests.vendors.reading import mapping
from tests.vendors.stripe_life import LIFE


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    """An installation with a source at which a life of a purchase has happened just now."""
    now = int(datetime.now(UTC).timestamp())
    stripe = Stripe(events=[{**each, "created": now - 60} for each in LIFE[:5]], now=datetime.now(UTC))
    async with installation(database_url, temporal_env) as life, served(stripe, is_dated=False) as url:
        life.told_of["shop"] = source("stripe", mapping(source="acme/shop"), url)
        async with connected(life.told_of) as apis:
            life.apis.update(apis)
            yield life
            life.told_of.clear()
            await life.relay.sweep(datetime.now(UTC))


def _handle(life: Installation) -> Any:
    return life.environment.client.get_schedule_handle(pull_id("shop"))


async def test_a_source_is_pulled_by_its_schedule_which_follows_the_configuration(life: Installation) -> None:
    await life.relay.sweep(datetime.now(UTC))
    described = await _handle(life).describe()
    assert [each.every for each in described.schedule.spec.intervals] == [PULL.every]
    assert described.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    async with life.referrals_worker():
        await _ask(life)
        while await life.relay.deliver():
            pass
        state = await _succeeded(life)
    assert (state.events_new, state.problem) == (5, None)

    await _handle(life).pause()
    life.told_of["shop"] = replace(life.told_of["shop"], pull=replace(PULL, every=timedelta(minutes=30)))
    await life.relay.sweep(datetime.now(UTC))
    described = await _handle(life).describe()
    assert [each.every for each in described.schedule.spec.intervals] == [timedelta(minutes=30)]
    assert described.schedule.state.paused

    life.told_of.clear()
    await life.relay.sweep(datetime.now(UTC))
    with pytest.raises(RPCError) as missing:
        await _handle(life).describe()
    assert missing.value.status is RPCStatusCode.NOT_FOUND
    await _ask(life)
    assert await life.relay.deliver() == 1  # and nothing is left of what asks for a source that is not pulled


async def _ask(life: Installation) -> None:
    async with life.database.transaction() as connection:
        await outbox.enqueue(connection, WakeupKind.PULL_DUE, "shop", keeping.event_number("shop", ""))


async def _succeeded(life: Installation) -> cursors.PullState:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with life.database.reading() as connection:
                state = (await cursors.states(connection)).get("shop")
            if state is not None and state.succeeded_at is not None:
                return state
            await asyncio.sleep(0.05)
