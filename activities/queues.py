"""Which task queue a step that calls a rail belongs to: only workers that hold the provider's secrets serve its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.register import rail_connections


@dataclass(frozen=True, slots=True)
class Queues:
    """The task queues of rails. ``here`` are those that this process serves beside its own; ``of_others`` those of the
    rails to which it has no access, and which another process may serve."""

    here: Mapping[str, str] = field(default_factory=dict)
    of_others: Mapping[str, str] = field(default_factory=dict)

    async def of(self, connection: AsyncConnection, rail: str, now: datetime) -> str | None:
        """Return the queue whose workers alone call the rail; None means this worker, also where nobody has access."""
        if rail in self.here:
            return self.here[rail]
        queue = self.of_others.get(rail)
        return queue if queue is not None and rail in await rail_connections.served(connection, now) else None


NONE_APART = Queues()
