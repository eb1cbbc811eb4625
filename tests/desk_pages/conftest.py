"""What the tests of the desk's pages share."""

from collections.abc import AsyncIterator

import pytest

from tests.desk import Desk
from tests.desk import desk as open_desk


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """A desk of this test's own."""
    async with open_desk(database_url) as opened:
        yield opened
