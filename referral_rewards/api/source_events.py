"""Hear what connected sources tell: keep each event, record its facts, read it again (SPEC §11)."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.domain.errors import NotGenuine
from referral_rewards.register.queue import strays
from referral_rewards.register.source_events import keeping, reading, stored
from referral_rewards.register.source_events.keeping import Became
from referral_rewards.register.source_events.stored import StoredEvent
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import Told

_log = structlog.get_logger("api")

#: So many events that waited are read in one transaction.
_AT_ONCE: Final = 50
_PAUSE_SECONDS: Final = 10.0


async def hear(parts: Parts, source: ConnectedSource, request: Told, now: datetime) -> tuple[Became, ...]:
    """Return what became of the events of a request, once that is committed.

    Raises:
        NotGenuine: if the vendor did not sign it, or not recently. Nothing of it is kept.
    """
    try:
        source.verify(request, now)
    except NotGenuine as error:
        parts.metrics.source_events.labels(source.name, "not_genuine").inc()
        _log.warning("source_refused", source=source.name, why=str(error))
        raise
    events = reading.events_of(source, request)
    became = await parts.database.write(keeping.keep, source, events, parts.intake, now)
    _count(parts, source, became)
    return became


async def replay(
    parts: Parts, source: ConnectedSource, events: Sequence[StoredEvent], now: datetime
) -> tuple[Became, ...]:
    """Return what became of kept events that are read again: what was told before is repeated, what is new is told.

    Those that could be read leave the queue.
    """
    became = await parts.database.write(
        keeping.tell, source, [reading.again(source, each) for each in events], parts.intake, now
    )
    await parts.database.write(strays.clear)
    _count(parts, source, became, repeated=True)
    return became


async def resolve(parts: Parts) -> int:
    """Read again the events whose awaited name is known by now, and return how many there were."""
    found = 0
    for source in parts.event_sources.values():
        while done := await parts.database.write(_linked, parts, source):
            found += done
    await parts.database.write(strays.keep_waiting_events, datetime.now(UTC))
    return found


async def watch(parts: Parts) -> None:
    """Resolve every few seconds, until cancelled. What the database does not answer is tried again."""
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            await resolve(parts)
        except Exception as error:  # nothing that one event does may end it
            _log.warning("events_not_resolved", why=type(error).__name__)


async def _linked(connection: AsyncConnection, parts: Parts, source: ConnectedSource) -> int:
    events = await stored.linked(connection, source.name, _AT_ONCE)
    now = datetime.now(UTC)
    await keeping.tell(connection, source, [reading.again(source, each) for each in events], parts.intake, now)
    return len(events)


def _count(parts: Parts, source: ConnectedSource, became: Sequence[Became], *, repeated: bool = False) -> None:
    for each in became:
        outcome = "repeated" if repeated or each.repeated else each.outcome.value
        parts.metrics.source_events.labels(source.name, outcome).inc()
        _log.info("source_event", source=source.name, type=each.type, event_id=each.event_id, outcome=outcome)
    parts.metrics.facts.labels("recorded").inc(sum(each.recorded for each in became))
