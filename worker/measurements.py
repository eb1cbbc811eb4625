"""Tells webhook endpoints of measurement events: each in the order of the feed, again until it is taken."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from models.session import Database
from referral_rewards.domain.measures.events import MeasurementEvent, Place, events_of
from referral_rewards.notices.port import Delivered
from referral_rewards.notices.webhook import Webhooks
from referral_rewards.register.measures import deliveries, feed
from referral_rewards.register.measures.deliveries import Delivery
from referral_rewards.reporting.measures.events import SOURCE
from worker.postman import pause_after

_log = structlog.get_logger("measurements")

_BATCH: Final = 50
#: Longer than a batch takes. If the worker dies, another one takes the endpoint over after this time.
_LEASE: Final = timedelta(minutes=10)
_PAUSE: Final = timedelta(seconds=5)


class Measurements:
    """Several may run: an endpoint is told by one of them at a time, so that its events come in order."""

    def __init__(self, database: Database, webhooks: Webhooks) -> None:
        self._database = database
        self._webhooks = webhooks

    async def turn(self) -> float:
        """Tell an endpoint of what is due, and return the seconds until the next turn."""
        return 0.0 if await self.tell(datetime.now(UTC)) else _PAUSE.total_seconds()

    async def tell(self, now: datetime) -> bool:
        """Tell an endpoint of a batch. Return whether one was due at ``now``."""
        due = await self._database.write(deliveries.take, now, _LEASE)
        if due is None:
            return False
        async with self._database.reading() as connection:
            found = await feed.causes(connection, Place.at(due.told_up_to), _BATCH)
        told = Place.at(due.told_up_to)
        for cause in found:
            for event in events_of(cause):
                if not await self._took(due, event):
                    await self._keep(due, told, now)
                    return True
            told = cause.place
        await self._database.write(deliveries.tell_next, due.name, told, now if len(found) == _BATCH else now + _PAUSE)
        return True

    async def _took(self, due: Delivery, event: MeasurementEvent) -> bool:
        """Post an event that the endpoint asked for. Return whether it need not be posted again."""
        type_ = f"measurement.{event.type}"
        if not any(_matches(asked, type_) for asked in due.events):
            return True
        body = {"type": type_, "timestamp": event.at.isoformat(), "data": event.as_cloudevent(SOURCE)}
        outcome = await self._webhooks.post(due.name, event.id, body)
        if not isinstance(outcome, Delivered):
            _log.warning("measurement_not_told", endpoint=due.name, message=str(event.id), why=outcome.why)
        return isinstance(outcome, Delivered)

    async def _keep(self, due: Delivery, told: Place, now: datetime) -> None:
        if told.cursor != due.told_up_to:
            await self._database.write(deliveries.tell_next, due.name, told, now)
        await self._database.write(deliveries.put_off, due.name, now + pause_after(due.tries + 1))


def _matches(asked: str, type_: str) -> bool:
    return asked == type_ or (asked.endswith("*") and asked.startswith("measurement.") and type_.startswith(asked[:-1]))
