"""Reconciliations: how far each came, and what did not agree."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.reconciliation import DifferenceKind, ReconciliationState
from referral_rewards.domain.payouts.rail_catalogue import BLIND_SPOT, Sight
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.reporting.shape import Instant, Shape


class Reconciliation(Shape):
    """How far a comparison came. ``ours`` and ``theirs`` count what was compared; ``unseen`` says in a sentence what
    can't be known from this rail; ``why`` why it came to nothing."""

    id: UUID
    rail: str
    since: Instant
    until: Instant
    asked_by: str
    asked_at: Instant
    state: ReconciliationState
    ours: int
    theirs: int
    differences: int
    unseen: str | None
    why: str | None
    ended_at: Instant | None


class FoundDifference(Shape):
    """One thing that does not agree, what each side says of it, and all of it in a line."""

    kind: DifferenceKind
    payout: UUID | None
    reference: str | None
    ours: str
    theirs: str
    said: str


async def reconciliation(connection: AsyncConnection, name: UUID) -> Reconciliation:
    """One reconciliation.

    Raises:
        NotFound: if there is none.
    """
    return _shown(await reconciliations.row(connection, name))


async def newest(connection: AsyncConnection, limit: int) -> list[Reconciliation]:
    """The newest reconciliations, the newest first."""
    return [_shown(row) for row in await reconciliations.newest(connection, limit)]


async def differences(
    connection: AsyncConnection, name: UUID, *, after: UUID | None, limit: int
) -> list[tuple[UUID, FoundDifference]]:
    """What did not agree, by the ids of the differences; ``after`` is the id that the page before ended with."""
    return [
        (number, FoundDifference(**asdict(each), said=str(each)))
        for number, each in await reconciliations.differences(connection, name, after=after, limit=limit)
    ]


def _shown(row: Any) -> Reconciliation:
    return Reconciliation(
        id=row.id,
        rail=row.rail,
        since=row.since_at,
        until=row.until_at,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        state=row.state,
        ours=row.ours,
        theirs=row.theirs,
        differences=row.differences,
        unseen=BLIND_SPOT[Sight(row.sight)] if row.sight is not None else None,
        why=row.why,
        ended_at=row.ended_at,
    )
