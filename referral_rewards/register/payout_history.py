"""The history of a payout: requests to its rail, their outcomes, and decisions; append-only.

The database itself records every change of state. This module records the attempts and what released them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.payouts.history import (
    ADOPTED,
    ANSWERED,
    LOOKED_UP,
    POLLED,
    SENT,
    SHUT_OUT,
    TOPPED_UP,
    Dates,
    Step,
)
from referral_rewards.domain.payouts.states import PayoutState

__all__ = [
    "ADOPTED",
    "ANSWERED",
    "LOOKED_UP",
    "POLLED",
    "SENT",
    "SHUT_OUT",
    "TOPPED_UP",
    "Dates",
    "append",
    "newest",
    "of",
    "steps",
]


async def append(
    connection: AsyncConnection,
    payout: UUID,
    generation: int,
    at: datetime,
    act: str,
    why: str | None = None,
    reference: str | None = None,
) -> int:
    """Append an act on a payout, with the payout's current state, and return the number of the step."""
    said = {"id": payout, "generation": generation, "at": at, "act": act, "why": why, "reference": reference}
    return int((await connection.execute(_APPEND, said)).scalar_one())


async def newest(connection: AsyncConnection, payout: UUID) -> int:
    """Return the number of the payout's newest step; by it an attempt finds out whether another has begun since."""
    return int((await connection.execute(_NEWEST, {"id": payout})).scalar_one())


async def of(connection: AsyncConnection, payout: UUID) -> tuple[Step, ...]:
    """Return all steps of a payout, oldest first."""
    return steps(row._mapping for row in await connection.execute(_ALL, {"id": payout}))


def steps(documents: Iterable[Mapping[str, Any] | RowMapping]) -> tuple[Step, ...]:
    """Return steps from what a statement read over `STEPS`."""
    return _STEPS.validate_python([dict(each) for each in documents])


_STEPS: Final = TypeAdapter(tuple[Step, ...])


async def reference_it_settled_under(connection: AsyncConnection, payout: UUID, generation: int) -> str | None:
    """Return the provider's reference under which the payout settled in that generation; None unless exactly one."""
    found = (await connection.execute(_SETTLED_AS, {"id": payout, "generation": generation})).scalars().all()
    return found[0] if len(found) == 1 else None


_APPEND: Final = text("""
INSERT INTO payout_step (payout_id, generation, at, act, state, why, reference)
SELECT id, :generation, :at, :act, state, :why, :reference FROM payout WHERE id = :id RETURNING id
""")

_NEWEST: Final = text("SELECT coalesce(max(id), 0) FROM payout_step WHERE payout_id = :id")

#: The query of `Dates`; the ``:generation`` is that of the payout's current key.
DATES: Final = spelled(
    """
WITH shut AS (
    SELECT coalesce(max(id), 0) AS id FROM payout_step
    WHERE payout_id = :id AND generation = :generation AND act = :shut_out
)
SELECT min(s.at) AS planned_at, min(s.at) FILTER (WHERE s.act IN :sent) AS first_sent_at,
       min(s.at) FILTER (WHERE s.act IN :sent AND s.generation = :generation AND s.id > shut.id) AS key_used_at
FROM payout_step s CROSS JOIN shut WHERE s.payout_id = :id
""",
    sent=(SENT, ADOPTED),
    shut_out=SHUT_OUT,
)

#: All steps of a payout, oldest first.
STEPS: Final = (
    "SELECT id, generation, at, act, state, why, reference FROM payout_step WHERE payout_id = :id ORDER BY id"
)
_ALL: Final = text(STEPS)

_SETTLED_AS: Final = statement(
    """
SELECT DISTINCT reference FROM payout_step
WHERE payout_id = :id AND generation = :generation AND state = :settled AND reference IS NOT NULL
""",
    settled=PayoutState.SETTLED,
)
