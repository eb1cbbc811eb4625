"""How far each webhook endpoint was told of the measurement events, and when it is told of the next."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.events import Place
from referral_rewards.register import typed_rows


class Delivery(NamedTuple):
    """An endpoint, the types that it asked for, up to where it was told, and how often the next event was tried."""

    name: str
    events: tuple[str, ...]
    told_up_to: str
    tries: int


async def take(connection: AsyncConnection, now: datetime, lease: timedelta) -> Delivery | None:
    """Return an endpoint that is due, which nobody else takes before the lease is over; None if none is.

    One that asks for measurement events for the first time is told from now on: `GET /v1/measurements` has the past.
    """
    await connection.execute(_BEGIN)
    return await typed_rows.read_one(connection, Delivery, _TAKE, {"now": now, "until": now + lease})


async def tell_next(connection: AsyncConnection, name: str, place: Place, at: datetime) -> None:
    """Note that an endpoint was told up to a place, and when it is told of the next event."""
    await connection.execute(_ADVANCE, {"name": name, "place": place.cursor, "at": at})


async def put_off(connection: AsyncConnection, name: str, until: datetime) -> None:
    """Note that an endpoint did not take the next event: it is tried again then."""
    await connection.execute(_PUT_OFF, {"name": name, "until": until})


_BEGIN: Final = text("""
UPDATE webhook_endpoint SET told_up_to = register_horizon() || '.0.'
WHERE told_up_to IS NULL AND EXISTS (SELECT 1 FROM unnest(events) AS asked WHERE starts_with(asked, 'measurement.'))
""")

_TAKE: Final = text("""
UPDATE webhook_endpoint SET due_at = :until
WHERE name = (
    SELECT name FROM webhook_endpoint
    WHERE told_up_to IS NOT NULL AND due_at <= :now
      AND EXISTS (SELECT 1 FROM unnest(events) AS asked WHERE starts_with(asked, 'measurement.'))
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING name, events, told_up_to, tries
""")

_ADVANCE: Final = text("UPDATE webhook_endpoint SET told_up_to = :place, tries = 0, due_at = :at WHERE name = :name")
_PUT_OFF: Final = text("UPDATE webhook_endpoint SET tries = tries + 1, due_at = :until WHERE name = :name")
