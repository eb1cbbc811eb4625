"""Load, lock and save the rows of a payout and its referrals, and wake the workflows that wait for it."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ReferralRow
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import AT_REST, PayoutState
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox, payout_history, typed_rows
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.locks import Lock
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import upkeep
from referral_rewards.register.referrals import rows as referrals

#: Before the columns of the payout, in rows that hold a referral's too.
_OWN: Final = "own_"

_referrals = ReferralRow.__table__  # type: ignore[attr-defined]

#: Shares the lock on the life of the program of the payout ``:id``: what was decided before is seen by the next
#: statement, and nothing is decided on the program until the transaction ends.
_PROGRAM_HELD: Final = f"""(
    SELECT count(pg_advisory_xact_lock_shared({int(Lock.PROGRAM_LIFE)}, hashtext(its.body->>'program')))
    FROM payout its WHERE its.id = :id
)"""  # noqa: S608 (numbers of ours alone)


class Held(NamedTuple):
    """The locked rows of a payout (None if there is none) and of the referrals whose legs it pays."""

    referrals: tuple[Referral, ...]
    row: Payout | None

    @property
    def payout(self) -> Payout:
        """The payout's row, for callers that know that there is one."""
        assert self.row is not None
        return self.row

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(row.id for row in self.referrals)


async def hold(connection: AsyncConnection, payout: UUID) -> Held:
    """Lock the rows of the payout's referrals, in order, and then its own, all in one statement."""
    return held_by(connection, (await connection.execute(_HOLD_ALL, {"id": payout})).all())


def held_by(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> Held:
    """Return what a statement of `holding` locked, from its rows."""
    held = tuple(referrals.of_row(row) for row in rows if row.id is not None)
    for row in held:
        upkeep.watch(connection, row.id)
    return Held(held, typed_rows.of(Payout, rows[0], _OWN) if rows[0].own_id is not None else None)


def holding(unless: str = "false") -> str:
    """Return the SQL that locks the payout ``:id`` as `hold` does; not its own row where ``unless`` holds.

    Its rows, at least one, also say whether it does, as ``kept_off``.
    """
    # Counting the locked referrals first makes PostgreSQL lock the payout after them. Of a row that another transaction
    # changed meanwhile it returns the newest version, as any `FOR UPDATE` does.
    return f"""
WITH off AS MATERIALIZED (SELECT {unless} AS kept_off, {_PROGRAM_HELD} AS program_held), referrals AS MATERIALIZED (
    SELECT * FROM referral WHERE id = ANY(ARRAY({_NAMED})) ORDER BY id FOR UPDATE
), own AS MATERIALIZED (
    SELECT p.* FROM payout p CROSS JOIN (SELECT count(*) AS held FROM referrals) AS first
    WHERE p.id = :id AND first.held >= 0 AND NOT (SELECT kept_off FROM off) FOR UPDATE OF p
)
SELECT referrals.*, off.kept_off, {", ".join(f"own.{each.name} AS {_OWN}{each.name}" for each in fields(Payout))}
FROM off LEFT JOIN own ON true LEFT JOIN referrals ON true ORDER BY referrals.id
"""  # noqa: S608 (columns and conditions of ours alone)


async def hold_referrals(connection: AsyncConnection, payout: UUID) -> tuple[Referral, ...]:
    """Lock only the rows of the payout's referrals, the first half of `hold`; unknown referrals have no row."""
    held = tuple(referrals.of_row(row) for row in await connection.execute(_HOLD_REFERRALS, {"id": payout}))
    for row in held:
        upkeep.watch(connection, row.id)
    return held


async def hold_alone(connection: AsyncConnection, payout: UUID) -> Payout | None:
    """Lock only the payout's row, the second half of `hold`; other locks are taken in between."""
    return await typed_rows.read_one(connection, Payout, _HOLD, {"id": payout})


async def mend(connection: AsyncConnection, payout: Payout) -> None:
    """Save when the payout was first sent and its key first used, as its history tells (`held_to`)."""
    mended = {"id": payout.id, "first_sent_at": payout.first_sent_at, "key_used_at": payout.key_used_at}
    await connection.execute(_MEND, mended)


async def read(connection: AsyncConnection, payout: UUID) -> Payout:
    """Return the row of a payout that exists, without a lock."""
    found = await typed_rows.read_one(connection, Payout, _READ, {"id": payout})
    assert found is not None
    return found


async def rail_of(connection: AsyncConnection, payout: UUID) -> str | None:
    """Return the payout's rail; None if there is no such payout."""
    return (await connection.execute(_RAIL, {"id": payout})).scalar_one_or_none()


async def referrals_of(connection: AsyncConnection, payout: UUID) -> Sequence[str]:
    """Return the ids of the referrals whose legs the payout pays, in locking order.

    If it pays none any more, these are the referrals whose legs it was to pay.
    """
    return (await connection.execute(_REFERRALS, {"id": payout})).scalars().all()


async def tell(connection: AsyncConnection, payout: Payout, named: Sequence[str], to: PayoutState) -> None:
    """Wake the payout's referrals, and its cycle if the payout came to rest.

    If it came to rest, a referral is woken only once all its payouts are at rest.
    """
    moving = await _moving(connection, named) if to in AT_REST else frozenset()
    for referral in named:
        if referral not in moving:
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout.id)
    if payout.cycle_id is not None and to in AT_REST:
        await cycles.wake_once_over(connection, payout.cycle_id)


async def remark(
    connection: AsyncConnection, payout: Payout, why: str | None, now: datetime, again_after: timedelta | None
) -> None:
    """Record why a payout stays in its state, and when its workflow acts next."""
    due_at = now + again_after if again_after is not None else None
    said = {"id": payout.id, "why": why, "due": due_at, "generation": payout.generation, "at": now}
    await connection.execute(_REMARK, {**said, "is_new": why != payout.why, "act": payout_history.ANSWERED})


async def due(connection: AsyncConnection, payout: UUID, now: datetime, again_after: timedelta | None) -> None:
    """Record when the payout's workflow next acts by itself; None: not before it is woken."""
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
    """Save the payout's next state, and when its workflow next acts by itself."""
    settled_at = now if to is PayoutState.SETTLED else None
    due_at = now + again_after if again_after is not None else None
    asked = {"id": payout, "state": to, "reference": reference, "why": why, "at": now}
    asked |= {"settled": settled_at, "due": due_at}
    await connection.execute(_MOVE, asked)


async def _moving(connection: AsyncConnection, named: Sequence[str]) -> frozenset[str]:
    """Return those of the referrals that have a payout not at rest."""
    rows = await connection.execute(_STATES, {"referrals": list(named)})
    return frozenset(row.referral_id for row in rows if PayoutState(row.state) not in AT_REST)


_READ: Final = text("SELECT * FROM payout WHERE id = :id")

_RAIL: Final = text("SELECT rail FROM payout WHERE id = :id")

_HOLD: Final = text(
    f"SELECT p.*, {_PROGRAM_HELD} AS program_held FROM payout p WHERE p.id = :id FOR UPDATE OF p"  # noqa: S608 (ours)
)

_NAMED: Final = """
SELECT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
WHERE pl.payout_id = :id
  AND (pl.live OR NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = :id AND live OFFSET 0))
UNION
SELECT referral_id FROM payout WHERE id = :id AND referral_id IS NOT NULL
"""

_REFERRALS: Final = text(_NAMED + "ORDER BY referral_id")

_HOLD_REFERRALS: Final = (
    select(_referrals).where(text(f"referral.id = ANY(ARRAY({_NAMED}))")).order_by(_referrals.c.id).with_for_update()
)

_HOLD_ALL: Final = text(holding())

_STATES: Final = text("""
SELECT l.referral_id, p.state FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
WHERE l.referral_id = ANY(CAST(:referrals AS text[])) AND pl.live
""")

_MOVE: Final = text("""
UPDATE payout SET state = :state, provider_reference = coalesce(:reference, provider_reference), why = :why,
                  settled_at = :settled, due_at = :due, updated_at = :at
WHERE id = :id
""")

_REMARK: Final = text("""
WITH noted AS (
    INSERT INTO payout_step (payout_id, generation, at, act, state, why)
    SELECT id, :generation, :at, :act, state, :why FROM payout WHERE id = :id AND :is_new
)
UPDATE payout SET why = :why, due_at = :due WHERE id = :id
""")

_DUE: Final = text("UPDATE payout SET due_at = :due WHERE id = :id")

_MEND: Final = text("""
UPDATE payout SET first_sent_at = :first_sent_at, key_used_at = :key_used_at WHERE id = :id
""")
