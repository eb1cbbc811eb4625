"""Posts events to outside endpoints, signed according to Standard Webhooks so that the receiver can verify them."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from standardwebhooks import Webhook

from referral_rewards.notices.port import Delivered, Later, Outcome, Refused

if TYPE_CHECKING:
    import httpx  # settings import this module, and few commands need a client

#: From connecting to the response's status; its body is not read.
_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Hook:
    """The URL of an endpoint, the event types that it wants, and the secrets (``whsec_…``) that sign its events: one,
    or both while it changes from one to another."""

    url: str
    events: Sequence[str]
    secrets: Sequence[str] = field(repr=False)


class Webhooks:
    """All endpoints by name. The caller closes the client, which must not follow redirects: an event signed for one
    address must not go to another."""

    def __init__(
        self, hooks: Mapping[str, Hook], client: "httpx.AsyncClient", *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._hooks = hooks
        self._client = client
        self._patience_seconds = patience_seconds

    async def post(self, name: str, message: UUID, event: Mapping[str, Any]) -> Outcome:
        """Post an event. ``webhook-id`` is the message's id, the same on every try; each try has its own signature.

        Any 2xx acknowledges the event; 410 refuses it definitively.
        """
        hook = self._hooks.get(name)
        if hook is None:
            return Later(f"the webhook {name} is not connected here")
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        try:
            # The client's own timeouts restart with each byte; this one does not.
            async with asyncio.timeout(self._patience_seconds):
                status = await self._status(hook, str(message), body)
        except Exception as error:
            # Not only httpx's errors: an invalid address can raise any exception.
            return Later(f"the webhook {name} was not reached ({type(error).__name__})")
        if 200 <= status < 300:
            return Delivered()
        why = f"the webhook {name} answered {status}"
        return Refused(why) if status == HTTPStatus.GONE else Later(why)

    async def _status(self, hook: Hook, message: str, body: str) -> int:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(Webhook(each).sign(message, now, body) for each in hook.secrets),
        }
        sent = self._client.stream("POST", hook.url, content=body.encode(), headers=headers, timeout=None)
        async with sent as response:
            return response.status_code
