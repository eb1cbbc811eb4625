"""Reconciliations: their progress, and the differences found."""

from dataclasses import asdict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.reconciliation import DifferenceKind, ReconciliationState
from referral_rewards.domain.payouts.rail_catalogue import BLIND_SPOT, Sight
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.register.reconciliations.two_sides import Reconciliation as ReconciliationRow
from referral_rewards.reporting.shape import Instant, Shape


class Reconciliation(Shape):
    """A reconciliation and its progress. ``ours`` and ``theirs`` count the compared payments, ``under_way`` those
    whose outcome was not known yet, which are no differences; ``unseen`` says what this rail can't show; ``why`` is why
    it failed."""

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
    under_way: int
    unseen: str | None
    why: str | None
    ended_at: Instant | None


class FoundDifference(Shape):
    """A difference, or a payment that is under way: the value on each side, and the whole in one line (``said``)."""

    kind: DifferenceKind
    payout: UUID | None
    reference: str | None
    ours: str
    theirs: str
    said: str


async def reconciliation(connection: AsyncConnection, name: UUID) -> Reconciliation:
    """Return one reconciliation.

    Raises:
        NotFound: if there is no such reconciliation.
    """
    return _shown(await reconciliations.row(connection, name))


async def newest(connection: AsyncConnection, limit: int) -> list[Reconciliation]:
    """Return the newest reconciliations, newest first."""
    return [_shown(row) for row in await reconciliations.newest(connection, limit)]


async def differences(
    connection: AsyncConnection, name: UUID, *, after: UUID | None, limit: int
) -> list[tuple[UUID, FoundDifference]]:
    """Return a page of differences, each with its id, sorted by id; ``after`` is the last id of the page before."""
    return [
        (number, FoundDifference(**asdict(each), said=str(each)))
        for number, each in await reconciliations.differences(connection, name, after=after, limit=limit)
    ]


def _shown(row: ReconciliationRow) -> Reconciliation:
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
        under_way=row.under_way,
        unseen=BLIND_SPOT[Sight(row.sight)] if row.sight is not None else None,
        why=row.why,
        ended_at=row.ended_at,
    )
