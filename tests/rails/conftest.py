"""Payouts about to be sent, over each rail: the way there is lived once a session, and copied for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.register.decisions.signing import Signer
from tests.rails.sending import KINDS, Sending, live_until_approved, on_stage
from tests.snapshots import Snapshots

Opener = Callable[[str], AbstractAsyncContextManager[Sending]]


@pytest.fixture(scope="session")
def stages(temporal_env: WorkflowEnvironment) -> dict[str, Callable[[str], Awaitable[Signer]]]:
    """What fills a database up to where the payout over a rail is approved; it gives who signed."""
    return {name: partial(live_until_approved, name, environment=temporal_env) for name in KINDS}


@pytest.fixture
def opened(
    stages: dict[str, Callable[[str], Awaitable[Signer]]], snapshots: Snapshots, temporal_env: WorkflowEnvironment
) -> Opener:
    """A payout about to be sent over a rail, for the length of a block."""

    @asynccontextmanager
    async def opening(name: str) -> AsyncIterator[Sending]:
        async with (
            snapshots.of(stages[name]) as (url, signer),
            on_stage(name, url, signer, temporal_env) as sending,
        ):
            yield sending

    return opening


@pytest.fixture(params=KINDS)
async def sending(request: pytest.FixtureRequest, opened: Opener) -> AsyncIterator[Sending]:
    """The same over each rail of a provider."""
    async with opened(request.param) as sending:
        yield sending


@pytest.fixture
async def transfer(opened: Opener) -> AsyncIterator[Sending]:
    """The same over Stripe transfers."""
    async with opened("stripe_transfer") as sending:
        yield sending
