"""Halted rails. One that rejects our credentials is used only for a periodic probe, until it answers again. One that
was halted after a restore of the register is not used at all, until a person opens it again."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.advice import PROBE, until_the_probe


class Halt(NamedTuple):
    """A halt of a rail: since when, when it was last probed, and why. ``restored``: after a restore of the register."""

    rail: str
    halted_at: datetime
    probed_at: datetime
    why: str
    restored: bool = False


#: How long to leave the rail alone, and why.
Wait = tuple[timedelta, str]


async def of(connection: AsyncConnection, rail: str) -> Halt | None:
    """Return the halt of a rail; None if it is not halted."""
    row = (await connection.execute(_HALT, {"rail": rail})).one_or_none()
    return None if row is None else Halt(*row)


def wait(halt: Halt | None, now: datetime) -> Wait | None:
    """Return how long to leave the rail alone; None if it may be called."""
    if halt is not None and halt.restored:
        return PROBE, halt.why
    if halt is None or (left := until_the_probe(halt.probed_at, now)) is None:
        return None
    return left, f"{label('rail', halt.rail)} refused our credentials: {halt.why}"


async def take_probe(connection: AsyncConnection, rail: str, now: datetime) -> Wait | None:
    """Claim the probe of a halted rail. Return None if the caller may try the rail, else how long to wait.

    The first caller after the pause gets the probe.
    """
    asked = {"rail": rail, "at": now, "before": now - PROBE}
    if (await connection.execute(_TAKE_PROBE, asked)).one_or_none() is not None:
        return None
    return wait(await of(connection, rail), now)


async def halt(connection: AsyncConnection, rail: str, why: str, now: datetime) -> None:
    """Halt a rail that rejected our credentials."""
    await connection.execute(_HALTED, {"rail": rail, "why": why, "at": now})


async def lift(connection: AsyncConnection, rail: str) -> None:
    """Lift the halt of a rail that answered."""
    await connection.execute(_LIFTED, {"rail": rail})


#: A query of all halts. After a restore a rail has one whatever its credentials.
HALTS: Final = """
SELECT rail, halted_at, halted_at AS probed_at, why, true AS restored FROM restored_rail WHERE reopened_at IS NULL
UNION ALL
SELECT rail, halted_at, probed_at, why, false FROM rail_halt h
WHERE NOT EXISTS (SELECT 1 FROM restored_rail r WHERE r.rail = h.rail AND r.reopened_at IS NULL)
"""
HALT: Final = f"SELECT * FROM ({HALTS}) AS halts WHERE rail = :rail"  # noqa: S608 (a constant of ours)
_HALT: Final = text(HALT)

_TAKE_PROBE: Final = text("""
UPDATE rail_halt h SET probed_at = :at WHERE rail = :rail AND probed_at <= CAST(:before AS timestamptz)
  AND NOT EXISTS (SELECT 1 FROM restored_rail r WHERE r.rail = h.rail AND r.reopened_at IS NULL)
RETURNING rail
""")

_HALTED: Final = text("""
INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES (:rail, :at, :at, :why)
ON CONFLICT (rail) DO UPDATE SET probed_at = excluded.probed_at, why = excluded.why
""")

_LIFTED: Final = text("DELETE FROM rail_halt WHERE rail = :rail")
