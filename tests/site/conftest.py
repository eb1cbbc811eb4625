"""A front door before the real API of a desk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.apps import at_an_address
from tests.desk import Desk
from tests.site.door import Door, front_door, settings_of, token_of_a_door


@pytest.fixture
async def door(desk: Desk, tmp_path: Path) -> AsyncIterator[Door]:
    async with at_an_address(desk.parts) as url:
        settings = settings_of(tmp_path / "site", url, await token_of_a_door(desk))
        async with front_door(settings) as opened:
            yield opened
