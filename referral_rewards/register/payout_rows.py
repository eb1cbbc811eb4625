"""A payout's row and those of its referrals under their locks, and who is told when it moves."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payouts import AT_REST, PayoutState
from referral_rewards.register import cycles, outbox, payout_steps, queue, referrals
from referral_rewards.register.outbox import WakeupKind


class Held(NamedTuple):
    """A payout that is locked until the transaction ends, with the referrals whose legs it pays; ``row`` is None if
    there is no such payout, and a referral that nobody has heard of has none."""

    referrals: Sequence[str]
    referral_rows: Sequence[Any]
    row: Any


async def hold(connection: AsyncConnection, payout: UUID) -> Held:
    """Locks the rows of its referrals, in their order, and then its own."""
    return Held(*await hold_referrals(connection, payout), await hold_alone(connection, payout))


async def hold_referrals(connection: AsyncConnection, payout: UUID) -> tuple[Sequence[str], Sequence[Any]]:
    """The first half of it."""
    named = await referrals_of(connection, payout)
    return named, await referrals.hold_all(connection, named)


async def hold_alone(connection: AsyncConnection, payout: UUID) -> Any:
    """The second half of it: whatever else is locked comes in between."""
    return (await connection.execute(_HOLD, {"id": payout})).one_or_none()


async def hold_to_its_history(connection: AsyncConnection, payout: Any) -> Any:
    """Its row, which is held, with what its history says of when it was sent where the row says later, or never.

    What may have gone out is asked about before anything else does, and no row that somebody wrote makes it unsent.
    """
    mended = (await connection.execute(_MEND, {"id": payout.id, "generation": payout.generation})).one_or_none()
    return payout if mended is None else mended


async def read(connection: AsyncConnection, payout: UUID) -> Any:
    """Its row, unlocked; None if there is no such payout."""
    return (await connection.execute(_READ, {"id": payout})).one_or_none()


async def rail_of(connection: AsyncConnection, payout: UUID) -> str | None:
    """The rail that it is paid by; None if there is no such payout."""
    return (await connection.execute(_RAIL, {"id": payout})).scalar_one_or_none()


async def referrals_of(connection: AsyncConnection, payout: UUID) -> Sequence[str]:
    """The referrals whose legs it pays, in the order in which their rows are held; of one that pays none any more
    those whose it was to pay."""
    return (await connection.execute(_REFERRALS, {"id": payout})).scalars().all()


async def tell(connection: AsyncConnection, payout: Any, named: Sequence[str], to: PayoutState) -> None:
    """Keeps the queue, and wakes each referral whose payouts are under way, or all at rest; and its cycle."""
    moving = await _moving(connection, named) if to in AT_REST else frozenset()
    for referral in named:
        await queue.keep(connection, referral)
        if referral not in moving:
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout.id)
    if payout.cycle_id is not None and to in AT_REST:
        await cycles.wake_once_over(connection, payout.cycle_id)


async def remark(
    connection: AsyncConnection, payout: Any, why: str | None, now: datetime, again_after: timedelta | None
) -> None:
    """Says why a payout stays where it stands; it moves nowhere."""
    await connection.execute(_REMARK, {"id": payout.id, "why": why})
    if why != payout.why:
        await payout_steps.append(connection, payout.id, payout.generation, now, payout_steps.ANSWERED, why)
    await due(connection, payout.id, now, again_after)


async def due(connection: AsyncConnection, payout: UUID, now: datetime, again_after: timedelta | None) -> None:
    """Notes when its workflow next acts by itself; None: not before there is news of it."""
    await connection.execute(_DUE, {"id": payout, "due": now + again_after if again_after is not None else None})


async def move(
    connection: AsyncConnection,
    payout: UUID,
    to: PayoutState,
    now: datetime,
    why: str | None,
    reference: str | None,
    again_after: timedelta | None = None,
) -> None:
    """Writes a state that may follow the present one, and when its workflow next acts by itself."""
    settled_at = now if to is PayoutState.SETTLED else None
    due_at = now + again_after if again_after is not None else None
    asked = {"id": payout, "state": to, "reference": reference, "why": why, "at": now}
    asked |= {"settled": settled_at, "due": due_at}
    await connection.execute(_MOVE, asked)


async def _moving(connection: AsyncConnection, named: Sequence[str]) -> frozenset[str]:
    """Those of the referrals of which a payout is not at rest."""
    rows = await connection.execute(_STATES, {"referrals": list(named)})
    return frozenset(row.referral_id for row in rows if PayoutState(row.state) not in AT_REST)


_READ: Final = text("SELECT * FROM payout WHERE id = :id")

_RAIL: Final = text("SELECT rail FROM payout WHERE id = :id")

_HOLD: Final = text("SELECT * FROM payout WHERE id = :id FOR UPDATE")

_REFERRALS: Final = text("""
SELECT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
WHERE pl.payout_id = :id
  AND (pl.live OR NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = :id AND live OFFSET 0))
UNION
SELECT referral_id FROM payout WHERE id = :id AND referral_id IS NOT NULL
ORDER BY referral_id
""")

_STATES: Final = text("""
SELECT l.referral_id, p.state FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
WHERE l.referral_id = ANY(CAST(:referrals AS text[])) AND pl.live
""")

_MOVE: Final = text("""
UPDATE payout SET state = :state, provider_reference = coalesce(:reference, provider_reference), why = :why,
                  settled_at = :settled, due_at = :due, updated_at = :at
WHERE id = :id
""")

_REMARK: Final = text("UPDATE payout SET why = :why WHERE id = :id")

_DUE: Final = text("UPDATE payout SET due_at = :due WHERE id = :id")

# `least` passes over what is null.
_MEND: Final = text("""
WITH shut AS (
    SELECT coalesce(max(id), 0) AS id FROM payout_step
    WHERE payout_id = :id AND generation = :generation AND act = 'shut_out'
), sent AS (
    SELECT min(s.at) AS first_at, min(s.at) FILTER (WHERE s.generation = :generation AND s.id > shut.id) AS key_at
    FROM payout_step s CROSS JOIN shut WHERE s.payout_id = :id AND s.act = 'sent'
)
UPDATE payout p SET first_sent_at = least(p.first_sent_at, sent.first_at),
                    key_used_at = least(p.key_used_at, sent.key_at)
FROM sent
WHERE p.id = :id AND (sent.first_at < coalesce(p.first_sent_at, 'infinity')
                      OR sent.key_at < coalesce(p.key_used_at, 'infinity'))
RETURNING p.*
""")
