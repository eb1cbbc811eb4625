"""A register that was brought to one state once, and a copy of it for each act that is tried there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.desk import Desk, Furniture, desk, furnish
from tests.snapshots import Snapshots

Bring = Callable[[Desk], Awaitable[object]]
#: Opens one more desk that stands there.
Copies = Callable[[], AbstractAsyncContextManager[Desk]]


def stage(snapshots: Snapshots, *brings: Bring) -> Copies:
    """Return what opens desks that all stand where these lead, one after the other."""

    async def also(opened: Desk) -> None:
        for bring in brings:
            await bring(opened)

    async def fill(url: str) -> Furniture:
        return await furnish(url, also=also)

    @asynccontextmanager
    async def copy() -> AsyncIterator[Desk]:
        async with snapshots.of(fill) as (url, furniture), desk(url, furniture) as opened:
            yield opened

    return copy
