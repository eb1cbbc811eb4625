"""Webhooks: providers report the outcome of payouts, and connected sources tell of orders."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal

import structlog
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict

from referral_rewards.api import source_events
from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import NotFound, NotGenuine
from referral_rewards.rails.webhooks.port import Webhook
from referral_rewards.register.payouts import provider_events
from referral_rewards.register.source_events.keeping import Became
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import Told

router = APIRouter(prefix="/v1", tags=["webhooks"])
_log = structlog.get_logger("api")

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The event as its sender signed it, byte by byte.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_Event = Literal["recorded", "repeated", "ignored", "waiting", "parked"]


class HeardEvent(BaseModel):
    """The outcome of an event: `recorded`, `repeated` (nothing changed), `ignored` (it says nothing of payouts, or
    nothing that a reward depends on), `waiting` (for the event that names its order) or `parked` (it can't be read and
    stands before a person). Of several events of one request it is that of the first that needs attention.

    ``facts`` are those recorded now; ``events`` are the numbers of events by outcome; ``why`` is the reason of
    that event, if it was ignored, waits or is parked. A payout's event has none of these.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"event": "recorded", "facts": 2, "events": {"recorded": 1}}]}
    )

    event: _Event
    facts: int | None = None
    events: dict[str, int] | None = None
    why: str | None = None


@router.post(
    "/webhooks/{source}",
    openapi_extra=_BODY,
    summary="Take an event of a provider or of a connected source",
    responses=refusals(HTTPStatus.UNAUTHORIZED),
    response_model_exclude_none=True,
)
async def hear(
    request: Request, source: Annotated[str, Path(examples=["stripe"], pattern=r"^[a-z][a-z0-9-]{0,39}$")], parts: Its
) -> HeardEvent:
    """Accepts an event signed by its sender, and responds once it is committed. 401: the signature is not the sender's,
    and the response says why; nothing is kept.

    `stripe`, `paypal` and `tremendous` report on payouts. Such an event is a hint and moves no payout: its payout is
    woken and asks the provider itself. So an event that comes twice, late, out of order or before the provider's own
    reply does no harm. 503: what is needed to verify it is not available now; send it again.

    Every other name is a source of `REFERRALS_EVENT_SOURCES`. Its event is kept as it came, and becomes facts of the
    types that the source may tell. What comes twice changes nothing (200). An event that can't be read is kept too and
    stands in the queue (200): sending it again would not help, mending the mapping and reading it again does.
    """
    now = datetime.now(UTC)
    if (connected := parts.event_sources.get(source)) is not None:
        return await _of_source(parts, connected, request, now)
    if (webhook := parts.webhooks.get(source)) is None:
        raise NotFound("source of webhooks", source)
    return await _of_provider(parts, source, webhook, request, now)


async def _of_source(parts: Parts, source: ConnectedSource, request: Request, now: datetime) -> HeardEvent:
    url = f"{parts.home_url or str(request.base_url).rstrip('/')}{request.url.path}"
    url += f"?{request.url.query}" if request.url.query else ""
    told = Told(await request.body(), dict(request.headers), url, request.method)
    return _answer(await source_events.hear(parts, source, told, now))


def _answer(became: Sequence[Became]) -> HeardEvent:
    counts = Counter(_event(each) for each in became)
    first: _Event = next((each for each in _BY_NEED if counts[each]), "ignored")
    why = next((each.why for each in became if _event(each) == first), None)
    facts = sum(each.recorded for each in became)
    return HeardEvent(event=first, facts=facts, events=dict(sorted(counts.items())), why=why)


def _event(became: Became) -> _Event:
    if became.repeated:
        return "repeated"
    event: _Event = _NAMES[became.outcome.value]
    return event


_NAMES: Final[dict[str, _Event]] = {
    "read": "recorded",
    "ignored": "ignored",
    "waiting": "waiting",
    "unreadable": "parked",
}
_BY_NEED: Final[tuple[_Event, ...]] = ("parked", "waiting", "recorded", "repeated", "ignored")


async def _of_provider(parts: Parts, source: str, webhook: Webhook, request: Request, now: datetime) -> HeardEvent:
    body = await request.body()
    try:
        event = await webhook.read(body, request.headers, now)
    except NotGenuine as error:
        _log.warning("webhook_refused", source=source, why=str(error))
        raise
    if event is None:
        return HeardEvent(event="ignored")
    heard = await parts.database.write(provider_events.hear, event, body, now)
    payout = str(heard.payout) if heard.payout else None
    _log.info("webhook_heard", source=source, kind=event.kind, event_id=event.id, payout=payout, new=heard.new)
    return HeardEvent(event="recorded" if heard.new else "repeated")
