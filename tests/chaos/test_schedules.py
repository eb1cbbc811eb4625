"""Three hundred seeded schedules of kills, cuts, silences, resets, full disks and wrong clocks: each law holds."""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.battered import FAR, NEAR, Battered, battered
from tests.chaos.schedules import publish, run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=[NEAR, FAR], ids=["seconds apart", "hours apart"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Battered]:
    """A cluster on which one schedule follows another, with clocks that far apart."""
    async with battered(tmp_path_factory.mktemp("schedules"), request.param) as opened:
        await publish(opened)
        yield opened


@pytest.mark.parametrize("seed", range(150))
async def test_whatever_goes_wrong_every_law_holds(world: Battered, seed: int) -> None:
    await run(world, seed)
