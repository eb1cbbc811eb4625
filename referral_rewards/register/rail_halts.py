"""Rails that do not let us in: nothing goes over them but for one attempt now and then, until one is let in."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payout_waits import PROBE, until_the_probe


async def wait(connection: AsyncConnection, rail: str, now: datetime) -> tuple[timedelta, str] | None:
    """How long a rail is left alone, and why; None if it may be asked."""
    halt = (await connection.execute(_HALT, {"rail": rail})).one_or_none()
    left = until_the_probe(halt.probed_at, now) if halt is not None else None
    return (left, _why(halt)) if left is not None else None


async def take_probe(connection: AsyncConnection, rail: str, now: datetime) -> tuple[timedelta, str] | None:
    """The same, for whoever is about to ask: of a halted rail that may be tried now, by the first who comes."""
    taken = (await connection.execute(_TAKE_PROBE, {"rail": rail, "at": now, "before": now - PROBE})).one_or_none()
    return None if taken is not None else await wait(connection, rail, now)


async def halt(connection: AsyncConnection, rail: str, why: str, now: datetime) -> None:
    """Leaves a rail alone from now on that did not let somebody in."""
    await connection.execute(_HALTED, {"rail": rail, "why": why, "at": now})


async def lift(connection: AsyncConnection, rail: str) -> None:
    """Takes note that a rail answered."""
    await connection.execute(_LIFTED, {"rail": rail})


def _why(halt: Any) -> str:
    return f"the rail {halt.rail} does not let us in: {halt.why}"


_HALT: Final = text("SELECT * FROM rail_halt WHERE rail = :rail")

# One row where it may be asked: none is halted, or its probe is ours.
_TAKE_PROBE: Final = text("""
WITH probe AS (
    UPDATE rail_halt SET probed_at = :at WHERE rail = :rail AND probed_at <= CAST(:before AS timestamptz) RETURNING 1
)
SELECT 1 AS may WHERE EXISTS (SELECT 1 FROM probe) OR NOT EXISTS (SELECT 1 FROM rail_halt WHERE rail = :rail)
""")

_HALTED: Final = text("""
INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES (:rail, :at, :at, :why)
ON CONFLICT (rail) DO UPDATE SET probed_at = excluded.probed_at, why = excluded.why
""")

_LIFTED: Final = text("DELETE FROM rail_halt WHERE rail = :rail")
