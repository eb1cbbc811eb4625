"""Registers that pay and are restored: what leads up to the payment is lived once for each rail."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.register.decisions.signing import Signer
from tests.rails.sending import KINDS, live_until_approved, on_stage
from tests.restores.registers import Restored, beside
from tests.snapshots import Snapshots

Fill = Callable[[str], Awaitable[Signer]]


@pytest.fixture(scope="session")
def fillings(temporal_env: WorkflowEnvironment) -> dict[str, Fill]:
    """What fills a database up to where the payout over a rail is approved."""
    return {name: partial(live_until_approved, name, environment=temporal_env) for name in KINDS}


async def opened(
    name: str, fillings: dict[str, Fill], snapshots: Snapshots, environment: WorkflowEnvironment
) -> AsyncIterator[Restored]:
    async with (
        snapshots.of(fillings[name]) as (paying, signer),
        snapshots.of(fillings[name]) as (restored, _),
        on_stage(name, paying, signer, environment) as sending,
        beside(sending, restored) as both,
    ):
        yield both


@pytest.fixture(params=KINDS)
async def each(
    request: pytest.FixtureRequest,
    fillings: dict[str, Fill],
    snapshots: Snapshots,
    temporal_env: WorkflowEnvironment,
) -> AsyncIterator[Restored]:
    """Over each provider's rail."""
    async for both in opened(request.param, fillings, snapshots, temporal_env):
        yield both


@pytest.fixture
async def transfer(
    fillings: dict[str, Fill], snapshots: Snapshots, temporal_env: WorkflowEnvironment
) -> AsyncIterator[Restored]:
    """Over Stripe transfers."""
    async for both in opened("stripe_transfer", fillings, snapshots, temporal_env):
        yield both
