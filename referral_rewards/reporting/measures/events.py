"""Measurement events by cursor, as CloudEvents (SPEC §8)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.events import Place, events_of
from referral_rewards.register.measures import feed
from referral_rewards.reporting.shape import Shape

SOURCE = "referral-rewards"


class Measurement(Shape):
    """A measurement event as a CloudEvent 1.0. ``data`` names program and referral, null where it has none."""

    specversion: str
    id: UUID
    source: str
    type: str
    time: datetime
    subject: str
    datacontenttype: str
    data: dict[str, Any]


class MeasurementPage(Shape):
    """Events in the order in which their causes were committed, and where to go on: also after the last one, since
    more will come."""

    events: tuple[Measurement, ...]
    next: str


async def page(connection: AsyncConnection, after: Place, limit: int) -> MeasurementPage:
    """Return the events of the next ``limit`` causes after a place.

    Raises:
        RegisterMoved: as `feed.causes`.
    """
    found = await feed.causes(connection, after, limit)
    told = [event.as_cloudevent(SOURCE) for cause in found for event in events_of(cause)]
    last = found[-1].place if found else after
    return MeasurementPage(events=tuple(Measurement.model_validate(each) for each in told), next=last.cursor)
