"""What the activities that move money ask of the register first: that it was not restored to an earlier state."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

#: Returns whether the register that a connection reads lacks nothing of its mark.
Whole = Callable[[AsyncConnection], Awaitable[bool]]

#: Why nothing is sent from a register that lacks something.
RESTORED: Final = "the register was restored to an earlier state"


async def always_whole(connection: AsyncConnection) -> bool:
    """For a register without a mark, which nothing can be said of."""
    return True
