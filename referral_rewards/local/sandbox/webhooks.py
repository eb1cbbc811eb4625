"""Sends a sandbox's events: signed as its provider signs, at least once, in no guaranteed order.

Stripe: https://docs.stripe.com/webhooks/signature. Tremendous: https://developers.tremendous.com/docs/webhooks-1.
PayPal: https://developer.paypal.com/api/rest/webhooks/rest/, with a certificate that the sandbox created itself.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from referral_rewards.local.sandbox.provider import Clock, encoded

#: Returns the signature headers of a body at a time.
Sign = Callable[[bytes, datetime], Mapping[str, str]]
#: The pauses before an event that was not accepted is sent again.
_PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_PATIENCE_SECONDS: Final = 10.0


class Webhooks:
    """Sends events to one URL.

    ``before_reply``: an event is sent before the response to the request that caused it. ``twice``: each event is sent
    two times. ``reordered``: the newest event goes first, also across requests: each is held back until the next comes.
    """

    def __init__(
        self,
        url: str,
        sign: Sign,
        clock: Clock,
        *,
        before_reply: bool = False,
        twice: bool = False,
        reordered: bool = False,
        pauses_seconds: Sequence[float] = _PAUSES_SECONDS,
    ) -> None:
        self._url, self._sign, self._clock = url, sign, clock
        self.before_reply, self.twice, self.reordered = before_reply, twice, reordered
        self._pauses_seconds = pauses_seconds
        self._held: list[Mapping[str, Any]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        #: The response to each attempt, oldest first: the status, or None if there was no response.
        self.answers: list[int | None] = []

    async def tell(self, events: Sequence[Mapping[str, Any]]) -> None:
        waiting = [*self._held, *events]
        self._held = []
        if self.reordered:
            if len(waiting) == 1:
                self._held = waiting
                return
            waiting.reverse()
        if self.before_reply:
            await self._send(waiting)
        else:
            task = asyncio.create_task(self._send(waiting))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def done(self) -> None:
        """Wait until every event that is not held back was sent."""
        await asyncio.gather(*self._under_way)

    async def _send(self, events: Sequence[Mapping[str, Any]]) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE_SECONDS) as client:
            for event in events:
                for _ in range(2 if self.twice else 1):
                    await self._send_one(client, encoded(event))

    async def _send_one(self, client: httpx.AsyncClient, body: bytes) -> None:
        for pause_seconds in (*self._pauses_seconds, None):
            headers = {"content-type": "application/json", **self._sign(body, self._clock.now)}
            try:
                status: int | None = (await client.post(self._url, content=body, headers=headers)).status_code
            except httpx.HTTPError:
                status = None
            self.answers.append(status)
            if pause_seconds is None or (status is not None and status < 500):
                return
            await asyncio.sleep(pause_seconds)


def as_stripe(secret: str) -> Sign:
    """Return the function that signs as Stripe does."""

    def sign(body: bytes, at: datetime) -> Mapping[str, str]:
        stamp = int(at.timestamp())
        signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={stamp},v1={signature}"}

    return sign


def as_tremendous(key: str) -> Sign:
    """Return the function that signs as Tremendous does."""

    def sign(body: bytes, at: datetime) -> Mapping[str, str]:
        return {"Tremendous-Webhook-Signature": f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"}

    return sign


def as_paypal(webhook_id: str, key: rsa.RSAPrivateKey, certificate_url: str) -> Sign:
    """Return the function that signs as PayPal does."""

    def sign(body: bytes, at: datetime) -> Mapping[str, str]:
        name, when = f"sent-{json.loads(body)['id']}", at.isoformat()
        signed = f"{name}|{when}|{webhook_id}|{zlib.crc32(body)}".encode()
        signature = base64.b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
        return {
            "PAYPAL-TRANSMISSION-ID": name,
            "PAYPAL-TRANSMISSION-TIME": when,
            "PAYPAL-TRANSMISSION-SIG": signature,
            "PAYPAL-CERT-URL": certificate_url,
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
        }

    return sign
