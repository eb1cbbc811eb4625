"""What the API finds out of itself beside its requests: whether it can do its work, and what its gauges say.

A probe or a scrape is answered from what was found last. It costs no statement, and waits for nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import UNREACHABLE
from referral_rewards.api.dependencies import Parts
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import ClocksApart
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.operation.looking import Look
from referral_rewards.operation.server import application, serving
from referral_rewards.register import clocks
from referral_rewards.register.persons import erasing
from referral_rewards.register.source_events import cursors
from referral_rewards.reporting.gauges import gauges
from referral_rewards.reporting.queue.counts import counts

_log = structlog.get_logger("api")

#: Pauses between two looks: whether we can work, which is one statement, and at all that the gauges count.
LOOK_EVERY_SECONDS: Final = 5.0
MEASURE_EVERY_SECONDS: Final = 15.0


async def look(parts: Parts) -> None:
    """Find out until cancelled, every five seconds, whether the API can do its work."""
    usable = Look("the database", lambda: usable_now(parts))
    try:
        while True:
            parts.ready.found(await usable.problem())
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        await usable.close()


async def measure(parts: Parts) -> None:
    """Count until cancelled, every fifteen seconds, what the gauges tell. While the database does not answer they keep
    what was counted last; how old that is they tell, too."""
    counted = Look("the database", lambda: _counted(parts))
    try:
        while True:
            if (problem := await counted.problem()) is not None:
                _log.warning("not_measured", why=problem)
            await asyncio.sleep(MEASURE_EVERY_SECONDS)
    finally:
        await counted.close()


@asynccontextmanager
async def told(parts: Parts, host: str, port: int | None) -> AsyncIterator[None]:
    """Answer probes and scrapes on a port of their own for the length of the block, if one is set.

    Raises:
        BadInput: if the port is taken.
    """
    if port is None:
        yield
        return
    measuring = asyncio.create_task(measure(parts))
    parts.pulse.ask("the measuring", lambda: not measuring.done())
    try:
        async with serving(host, port, application(parts.pulse, parts.ready, exposition(parts))):
            yield
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)


def exposition(parts: Parts) -> Callable[[], bytes]:
    """Return what tells all metrics of the API in Prometheus' text format."""

    def expose() -> bytes:
        parts.metrics.ready.set(parts.ready.problem is None and parts.namespace.problem is None)
        parts.metrics.parts_silent.set(len(parts.pulse.silent()))
        parts.metrics.attributes_missing.set(len(parts.namespace.missing))
        return parts.metrics.exposition()

    return expose


async def usable_now(parts: Parts) -> str | None:
    """Return what keeps the API from its work at this moment; None if nothing does."""
    try:
        async with parts.database.reading() as connection:
            await connection.execute(_USABLE)
            await clocks.need_the_same(connection, datetime.now(UTC))
    except ClocksApart as error:
        return str(error)
    except UNREACHABLE:
        return "the database does not answer"
    except SQLAlchemyError:
        return "the database lacks our schema; `referrals db upgrade` brings it"
    return None


async def _counted(parts: Parts) -> str | None:
    try:
        async with parts.database.reading() as connection:
            await count(parts, connection)
    except SQLAlchemyError as error:
        return type(error).__name__
    return None


async def count(parts: Parts, connection: AsyncConnection) -> None:
    """Count all that the gauges tell."""
    parts.metrics.outbox.set((await connection.execute(_OUTBOX)).scalar_one())
    await _count_notices(parts, connection)
    await _count_queue(parts, connection)
    await _count_money(parts, connection)
    await _count_pulls(parts, connection)
    waiting, oldest_seconds = await erasing.waiting(connection, datetime.now(UTC))
    parts.metrics.erasings.set(waiting)
    parts.metrics.oldest_erasing.set(oldest_seconds)
    parts.metrics.measured_at.set(datetime.now(UTC).timestamp())


async def _count_notices(parts: Parts, connection: AsyncConnection) -> None:
    counted = {row.state: row.notices for row in await connection.execute(_NOTICES)}
    for state in NoticeState:
        parts.metrics.notices.labels(state.value).set(counted.get(state, 0))
    parts.metrics.notices_late.set((await connection.execute(_NOTICES_LATE)).scalar_one())


async def _count_queue(parts: Parts, connection: AsyncConnection) -> None:
    counted = await counts(connection, datetime.now(UTC))
    for each in Waits:
        found = counted.exceptions.get(each)
        parts.metrics.queue.labels(each.value).set(found.count if found else 0)
    parts.metrics.queue.labels(Flag.EVIDENCE_CONFLICT.value).set(counted.conflicts.count)


async def _count_money(parts: Parts, connection: AsyncConnection) -> None:
    found, told = await gauges(connection, datetime.now(UTC)), parts.metrics
    told.payouts.clear()
    for (state, rail), payouts in found.payouts.items():
        told.payouts.labels(state, rail).set(payouts)
    told.standing_still.set(found.standing_still)
    told.unknown_for_long.set(found.unknown_for_long)
    told.oldest_unknown.set(found.oldest_unknown_seconds)
    for rail in CATALOGUE:
        told.rail_connected.labels(rail).set(rail in found.connected)
        told.rail_halted.labels(rail).set(rail in found.halted)
    told.restored_rails.set(found.restored_rails)
    told.forgotten_payments.set(found.forgotten)
    told.cycles_frozen.set(found.cycles_frozen)
    told.cases_open.set(found.cases_open)
    told.unbalanced.set(found.unbalanced)


async def _count_pulls(parts: Parts, connection: AsyncConnection) -> None:
    """Tell how late each source's pull is; of one that never succeeded, since it was first asked or we began."""
    states, now = await cursors.states(connection), datetime.now(UTC)
    for name, source in parts.event_sources.items():
        if source.pull is None:
            continue
        state = states.get(name)
        last = parts.began_at if state is None else state.succeeded_at or state.begun_at
        late = (now - last - source.pull.every).total_seconds()
        parts.metrics.pulls_late.labels(name).set(max(0.0, late))


_USABLE: Final = text("SELECT 1 FROM referral, app_user, outbox LIMIT 1")
_OUTBOX: Final = text("SELECT count(*) FROM outbox")

# Both use an index: the messages ever sent are not counted.
_NOTICES: Final = text("""
SELECT state, count(*) AS notices FROM notice WHERE due_at IS NOT NULL GROUP BY state
UNION ALL
SELECT state, count(*) FROM notice WHERE settled_at > now() - interval '1 day' GROUP BY state
""")

_NOTICES_LATE: Final = text(
    "SELECT count(*) FROM notice WHERE planned_at < now() - interval '1 hour' AND due_at < now()"
)
