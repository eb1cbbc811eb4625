"""Which rails of providers are served: each worker with access to a provider reports its rails again and again."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

#: A worker reports its rails every minute; a rail not reported for this long is not connected.
FRESH: Final = timedelta(minutes=10)


async def served(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """Return the rails of providers that a worker has reported lately."""
    return frozenset((await connection.execute(_SEEN, {"since": now - FRESH})).scalars())


_SEEN: Final = text("SELECT rail FROM rail_connection WHERE seen_at > :since")
