"""Webhooks: providers report the outcome of payouts."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal

import structlog
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict

from referral_rewards.api.dependencies import Its
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import NotFound, NotGenuine
from referral_rewards.register.payouts import provider_events

router = APIRouter(prefix="/v1", tags=["webhooks"])
_log = structlog.get_logger("api")

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The event as the provider signed it, byte by byte.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


class HeardEvent(BaseModel):
    """The outcome of an event: `recorded`, `repeated` (nothing changed), or `ignored` (it is about no payout)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event": "recorded"}]})

    event: Literal["recorded", "repeated", "ignored"]


@router.post(
    "/webhooks/{source}",
    openapi_extra=_BODY,
    summary="Take a provider's event",
    responses=refusals(HTTPStatus.UNAUTHORIZED),
)
async def hear_provider(
    request: Request, source: Annotated[str, Path(examples=["stripe"], pattern=r"^[a-z]{1,40}$")], parts: Its
) -> HeardEvent:
    """Accepts an event signed by `stripe`, `paypal` or `tremendous`, and responds once it is committed.

    The event is a hint and moves no payout: its payout is woken and asks the provider itself. So an event that comes
    twice, late, out of order or before the provider's own reply does no harm. 401: the signature is not the provider's;
    the response says why. 503: what is needed to verify it is not available now; send it again.
    """
    webhook = parts.webhooks.get(source)
    if webhook is None:
        raise NotFound("webhook that is set up", source)
    body = await request.body()
    now = datetime.now(UTC)
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
