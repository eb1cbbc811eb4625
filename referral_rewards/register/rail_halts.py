"""Halted rails. One that rejects our credentials is used only for a periodic probe, until it answers again. One that
was halted after a restore of the register is not used at all, until a person opens it again."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payouts.hearing import Hearing, halts, lets_us_in
from referral_rewards.domain.payouts.moving import Halt, Reversal, ToSend
from referral_rewards.domain.payouts.states import PaymentRequest
from referral_rewards.register.queue import rails as queue


async def hold(connection: AsyncConnection, rail: str) -> Halt | None:
    """Return the halt of a rail, locked until the transaction ends; None if it is not halted.

    Whoever may call the rail now is its only probe: it holds the halt until it has noted that (`probed`).
    """
    row = (await connection.execute(_HOLD, {"rail": rail})).one_or_none()
    return None if row is None else Halt(*row)


async def probed(connection: AsyncConnection, rail: str, now: datetime) -> None:
    """Note that a halted rail is probed now; its other callers wait meanwhile."""
    await connection.execute(_PROBED, {"rail": rail, "at": now})


async def heard(
    connection: AsyncConnection,
    step: ToSend[PaymentRequest] | ToSend[Reversal],
    hearing: Hearing,
    now: datetime,
) -> None:
    """Halt the rail that rejected our credentials or our account, or lift its halt if it let its probe in."""
    if (why := halts(hearing)) is not None:
        await halt(connection, step.rail, why, now)
    elif step.probes and lets_us_in(hearing):
        await lift(connection, step.rail)


async def halt(connection: AsyncConnection, rail: str, why: str, now: datetime) -> None:
    """Halt a rail that rejected our credentials."""
    await connection.execute(_HALTED, {"rail": rail, "why": why, "at": now})
    await queue.keep_halt(connection, rail)


async def lift(connection: AsyncConnection, rail: str) -> None:
    """Lift the halt of a rail that answered."""
    await connection.execute(_LIFTED, {"rail": rail})
    await queue.keep_halt(connection, rail)


#: The columns of `Halt`. After a restore a rail has one halt, whatever its credentials.
HALTS: Final = """
SELECT * FROM (
    SELECT rail, halted_at, halted_at AS probed_at, why, true AS restored FROM restored_rail WHERE reopened_at IS NULL
    UNION ALL
    SELECT rail, halted_at, probed_at, why, false FROM rail_halt h
    WHERE NOT EXISTS (SELECT 1 FROM restored_rail r WHERE r.rail = h.rail AND r.reopened_at IS NULL)
) AS halts"""
HALT: Final = f"{HALTS} WHERE rail = :rail"
_HOLD: Final = text("""
SELECT h.rail, h.halted_at, h.probed_at, h.why, EXISTS (
    SELECT 1 FROM restored_rail r WHERE r.rail = h.rail AND r.reopened_at IS NULL
) AS restored
FROM rail_halt h WHERE h.rail = :rail FOR UPDATE OF h
""")

_PROBED: Final = text("UPDATE rail_halt SET probed_at = :at WHERE rail = :rail")

_HALTED: Final = text("""
INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES (:rail, :at, :at, :why)
ON CONFLICT (rail) DO UPDATE SET probed_at = excluded.probed_at, why = excluded.why
""")

_LIFTED: Final = text("DELETE FROM rail_halt WHERE rail = :rail")
