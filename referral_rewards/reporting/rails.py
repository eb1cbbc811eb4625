"""The rails of an installation: which its workers have, which are halted since when and why, how many payouts wait."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, OF_OURS
from referral_rewards.domain.payouts.states import WAITING_FOR_ITS_RAIL
from referral_rewards.reporting.shape import Instant, Shape

#: A worker that has a rail says so every minute; one that has not for so long is gone.
FRESH: Final = timedelta(minutes=10)


class Rail(Shape):
    """A rail. ``connected``: a worker said lately that it has it; ``mode`` is live, test or sandbox, null where no
    provider stands behind it. ``halted_at`` and ``why`` are of one that does not let us in; ``waiting`` are its payouts
    that are approved and neither paid nor before a person."""

    rail: str
    connected: bool
    mode: str | None
    seen_at: Instant | None
    halted_at: Instant | None
    why: str | None
    waiting: int


class Halt(Shape):
    """A rail that does not let us in: since when, why, and how many payouts wait for it."""

    rail: str
    halted_at: Instant
    why: str
    waiting: int


async def connected(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """The rails that can be paid by now, as far as their workers have said lately."""
    found = await connection.execute(_SEEN, {"since": now - FRESH})
    return OF_OURS | {row.rail for row in found}


async def rails(connection: AsyncConnection, now: datetime) -> list[Rail]:
    """Every rail that terms may name, in the order of the catalogue."""
    known = {row.rail: row for row in await connection.execute(_KNOWN)}
    there = await connected(connection, now)
    return [_rail(name, known.get(name), name in there) for name in CATALOGUE]


async def halted(connection: AsyncConnection) -> list[Halt]:
    """The rails that do not let us in, the first one first."""
    return [Halt.model_validate(row) for row in await connection.execute(_HALTED)]


async def mode_of(connection: AsyncConnection, rail: str) -> str | None:
    """Whether a rail moves real money, as a worker that had it said last."""
    return (await connection.execute(_MODE, {"rail": rail})).scalar_one_or_none()


def _rail(name: str, row: Any, there: bool) -> Rail:
    return Rail(
        rail=name,
        connected=there,
        mode=row.mode if row else None,
        seen_at=row.seen_at if row else None,
        halted_at=row.halted_at if row else None,
        why=row.why if row else None,
        waiting=row.waiting if row else 0,
    )


_SEEN: Final = text("SELECT rail FROM rail_connection WHERE seen_at > :since")

_MODE: Final = text("SELECT mode FROM rail_connection WHERE rail = :rail")

_WAITING: Final = spelled(
    "SELECT rail, count(*) AS waiting FROM payout WHERE state IN :waiting GROUP BY rail", waiting=WAITING_FOR_ITS_RAIL
)

_KNOWN: Final = text(f"""
SELECT rail, c.mode, c.seen_at, h.halted_at, h.why, coalesce(w.waiting, 0) AS waiting
FROM rail_connection c FULL JOIN rail_halt h USING (rail) FULL JOIN ({_WAITING}) AS w USING (rail)
""")  # noqa: S608 (a constant of ours)

_HALTED: Final = text(f"""
SELECT h.rail, h.halted_at, h.why, coalesce(w.waiting, 0) AS waiting
FROM rail_halt h LEFT JOIN ({_WAITING}) AS w USING (rail) ORDER BY h.halted_at, h.rail
""")  # noqa: S608 (a constant of ours)
