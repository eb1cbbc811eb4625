"""The rails of an installation: which are connected, which are halted and why, and how many payouts wait for each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, OF_OURS
from referral_rewards.domain.payouts.states import WAITING_FOR_ITS_RAIL
from referral_rewards.register import rail_connections, typed_rows
from referral_rewards.register.rail_halts import HALTS
from referral_rewards.reporting.shape import Instant, Shape


class Rail(Shape):
    """A rail. ``connected``: a worker has reported it recently; ``mode`` is live, test or sandbox, null for a rail
    without a provider. ``halted_at`` and ``why`` are set while it is halted: because it rejects our credentials, or
    after a restore of the register (``restored``). ``waiting`` counts its payouts that are approved and neither paid
    nor in review."""

    rail: str
    connected: bool
    mode: str | None
    seen_at: Instant | None
    halted_at: Instant | None
    why: str | None
    restored: bool
    waiting: int


class Halt(Shape):
    """A halted rail: since when, why, and how many payouts wait for it. ``restored``: it was halted after a restore of
    the register, and finance must open it again."""

    rail: str
    halted_at: Instant
    why: str
    restored: bool
    waiting: int


async def connected(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """Return the rails that can pay now: our own, and those that a worker has reported recently."""
    return OF_OURS | await rail_connections.served(connection, now)


async def rails(connection: AsyncConnection, now: datetime) -> list[Rail]:
    """Return every rail that terms may name, in the order of the catalogue."""
    known = {row.rail: row for row in await typed_rows.read(connection, _Known, _KNOWN)}
    there = await connected(connection, now)
    return [_rail(name, known.get(name), name in there) for name in CATALOGUE]


async def halted(connection: AsyncConnection) -> list[Halt]:
    """Return the halted rails, oldest halt first."""
    return [Halt.model_validate(row) for row in await connection.execute(_HALTED)]


async def mode_of(connection: AsyncConnection, rail: str) -> str | None:
    """Return a rail's mode (live, test or sandbox) as a worker last reported it; None if unknown."""
    return (await connection.execute(_MODE, {"rail": rail})).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class _Known:
    rail: str
    mode: str | None
    seen_at: datetime | None
    halted_at: datetime | None
    why: str | None
    restored: bool | None
    waiting: int


def _rail(name: str, row: _Known | None, there: bool) -> Rail:
    return Rail(
        rail=name,
        connected=there,
        mode=row.mode if row else None,
        seen_at=row.seen_at if row else None,
        halted_at=row.halted_at if row else None,
        why=row.why if row else None,
        restored=bool(row.restored) if row else False,
        waiting=row.waiting if row else 0,
    )


_MODE: Final = text("SELECT mode FROM rail_connection WHERE rail = :rail")

_WAITING: Final = spelled(
    "SELECT rail, count(*) AS waiting FROM payout WHERE state IN :waiting GROUP BY rail", waiting=WAITING_FOR_ITS_RAIL
)

_KNOWN: Final = text(f"""
SELECT rail, c.mode, c.seen_at, h.halted_at, h.why, h.restored, coalesce(w.waiting, 0) AS waiting
FROM rail_connection c FULL JOIN ({HALTS}) AS h USING (rail) FULL JOIN ({_WAITING}) AS w USING (rail)
""")  # noqa: S608 (a constant of ours)

_HALTED: Final = text(f"""
SELECT h.rail, h.halted_at, h.why, h.restored, coalesce(w.waiting, 0) AS waiting
FROM ({HALTS}) AS h LEFT JOIN ({_WAITING}) AS w USING (rail) ORDER BY h.halted_at, h.rail
""")  # noqa: S608 (a constant of ours)
