"""Three hundred seeded schedules in which money goes and comes back, and the register is restored: each law holds.

One alone: `pytest -m chaos "tests/chaos/test_money_schedules.py::test_whatever_money_does_every_law_holds[17]"`.
"""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.battered import NEAR, Battered, battered
from tests.chaos.money_schedules import prepare, run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Battered]:
    """A cluster on which one schedule follows another."""
    async with battered(tmp_path_factory.mktemp("money"), NEAR) as opened:
        await prepare(opened)
        yield opened


@pytest.mark.parametrize("seed", range(300))
async def test_whatever_money_does_every_law_holds(world: Battered, seed: int) -> None:
    await run(world, seed)
