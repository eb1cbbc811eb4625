"""Events to others' systems, signed as Standard Webhooks asks for: whoever receives one can tell that we sent it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from standardwebhooks import Webhook

from referral_rewards.notices.port import Delivered, Later, Outcome, Refused

if TYPE_CHECKING:
    import httpx  # settings know this module, and few commands need a client

#: From connecting to the last byte of the answer, which nobody reads.
_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Hook:
    """Where events go, the secret (``whsec_…``) that they are signed with, and the types that are wanted."""

    url: str
    secret: str
    events: Sequence[str]


class Webhooks:
    """Every endpoint by its name. The client is the caller's, who closes it; it must follow no redirect: what is signed
    for one address is not handed to another."""

    def __init__(
        self, hooks: Mapping[str, Hook], client: "httpx.AsyncClient", *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._hooks = hooks
        self._client = client
        self._patience_seconds = patience_seconds

    async def post(self, name: str, message: UUID, event: Mapping[str, Any]) -> Outcome:
        """Posts an event. Its ``webhook-id`` is the message's own, the same on every try; the signature is of this one.

        Any 2xx is taken for an acknowledgement; 410 says that the endpoint wants no more of it.
        """
        hook = self._hooks.get(name)
        if hook is None:
            return Later(f"the webhook {name} is not connected here")
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        try:
            # The client's own timeouts begin anew with each byte; this one does not.
            async with asyncio.timeout(self._patience_seconds):
                status = await self._status(hook, str(message), body)
        except Exception as error:
            # Not httpx's errors alone: an address that no socket takes fails in whatever way it likes.
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
            "webhook-signature": Webhook(hook.secret).sign(message, now, body),
        }
        sent = self._client.stream("POST", hook.url, content=body.encode(), headers=headers, timeout=None)
        async with sent as response:
            return response.status_code
